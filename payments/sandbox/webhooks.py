"""Sends events to the shop: signed as Stripe does, repeated with backoff, shuffled on demand.

Stripe docs, "Receive Stripe events in your webhook endpoint": an event may come twice, late and in
any order, and comes again while it is not answered with 2xx.
"""

import hashlib
import hmac
import json
import logging
import random
import secrets
import threading
import time
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

import requests

from checkout.runtime.retry import backoff
from payments.sandbox.clock import Clock
from payments.sandbox.replies import Json

logger = logging.getLogger(__name__)

# Stripe goes on for three days; the sandbox gives up after about a quarter of an hour.
TRIES = 10
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0
TIMEOUT_SECONDS = 5.0

# So many are sent at the same time, as by a company with many machines: a shop that answers one
# event slowly holds up no other.
AT_ONCE = 8

# The ledger's word for what happened → Stripe API reference, "Types of events".
KINDS = {
    "opened": "payment_intent.created",
    "charged": "payment_intent.succeeded",
    "processing": "payment_intent.processing",
    "debit_failed": "payment_intent.payment_failed",
    "declined": "payment_intent.payment_failed",
    "refused_by_customer": "payment_intent.payment_failed",
    "asks_customer": "payment_intent.requires_action",
    "set_aside": "payment_intent.amount_capturable_updated",
    "captured": "charge.captured",
    "lapsed": "payment_intent.canceled",
    "cancelled": "payment_intent.canceled",
    "refunded": "charge.refunded",
    "refund_failed": "refund.failed",
    "refund_updated": "refund.updated",
    "dispute_opened": "charge.dispute.created",
    "dispute_updated": "charge.dispute.updated",
    "dispute_closed": "charge.dispute.closed",
}


@dataclass(order=True)
class _Delivery:
    due: float
    number: int
    event: Json = field(compare=False)
    tries: int = field(default=0, compare=False)


class WebhookSender:
    """The sender has threads of its own, so that the API's answers never wait for the shop."""

    def __init__(self, *, url: str, secret: str, clock: Clock) -> None:
        self.url = url
        self._secret = secret
        self._clock = clock
        self._numbers = count()
        self._waiting: list[_Delivery] = []
        self._held: list[Json] = []
        self._events: list[Json] = []
        self._changed = threading.Condition()
        self._stopped = False
        self.duplicate = False
        self.hold = False
        self._threads = [
            threading.Thread(target=self._run, name=f"webhooks-{number}", daemon=True)
            for number in range(AT_ONCE)
        ]

    def start(self) -> None:
        if self.url:
            for thread in self._threads:
                thread.start()

    def stop(self) -> None:
        """Nothing is told after it, so it waits for what is being told."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def notify(self, kind: str, about: Json) -> None:
        if not self.url or kind not in KINDS:
            return
        event = {
            "id": f"evt_{secrets.token_hex(12)}",
            "object": "event",
            "type": KINDS[kind],
            "created": int(self._clock().timestamp()),
            "livemode": False,
            "data": {"object": about},
        }
        with self._changed:
            self._events.append(event)
            if self.hold:
                self._held.append(event)
            else:
                self._enqueue([event] * (2 if self.duplicate else 1))

    def events(self) -> list[Json]:
        with self._changed:
            return list(self._events)

    def release(self, seed: int, *, latest: int | None = None) -> int:
        """Send what was held, and all or the latest of what was sent before, shuffled."""
        with self._changed:
            again = self._events[-latest:] if latest else list(self._events)
            again += self._held
            random.Random(seed).shuffle(again)  # noqa: S311 - the order is to be repeatable
            self._held.clear()
            self._enqueue(again)
            return len(again)

    def signature(self, body: bytes) -> str:
        """Stripe docs, "Verify webhook signatures manually". The shop checks the real time."""
        at = int(time.time())
        signed = hmac.new(self._secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
        return f"t={at},v1={signed.hexdigest()}"

    def _enqueue(self, events: list[Json]) -> None:
        for event in events:
            heappush(self._waiting, _Delivery(time.monotonic(), next(self._numbers), event))
        self._changed.notify_all()

    def _run(self) -> None:
        while (delivery := self._next()) is not None:
            if self._send(delivery.event) or delivery.tries + 1 >= TRIES:
                continue
            delivery.tries += 1
            pause = backoff(
                delivery.tries, first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS
            )
            delivery.due = time.monotonic() + pause
            with self._changed:
                heappush(self._waiting, delivery)
                self._changed.notify_all()

    def _next(self) -> _Delivery | None:
        with self._changed:
            while not self._stopped:
                pause = self._waiting[0].due - time.monotonic() if self._waiting else None
                if pause is not None and pause <= 0:
                    return heappop(self._waiting)
                self._changed.wait(pause)
        return None

    def _send(self, event: Json) -> bool:
        body = json.dumps(event).encode()
        headers = {"Content-Type": "application/json", "Stripe-Signature": self.signature(body)}
        try:
            answer = requests.post(
                self.url, data=body, headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False
            )
        except requests.RequestException:
            return False
        return 200 <= answer.status_code < 300
