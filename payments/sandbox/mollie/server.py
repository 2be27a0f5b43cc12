"""The HTTP side of Mollie's sandbox: the API, its customers' page, and pages for tests."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from payments.sandbox.clock import Clock, MovableClock, utc_now
from payments.sandbox.faults import Faults
from payments.sandbox.ledger import Ledger
from payments.sandbox.mollie.account import Account, Refused, Request
from payments.sandbox.mollie.page import CHOICES, checkout_page
from payments.sandbox.replies import Answer, Json
from payments.sandbox.server import Handler, HttpServer

CHECKOUT = "/checkout/"
HOOK_SECONDS = 5.0

# Mollie docs, "Webhooks": a hook that was not answered comes again ten times, within 26 hours. Here
# it comes sooner, since nobody waits for so long.
HOOK_TRIES = 10
FIRST_PAUSE_SECONDS = 0.5

# So many are sent at the same time, as by a company with many machines: a shop that answers one
# hook slowly holds up no other.
HOOKS_AT_ONCE = 8


class MollieSandbox:
    """The server listens from its construction on, and answers between `start` and `stop`."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock = utc_now,
        silent_seconds: float = 120.0,
        faults: Faults | None = None,
        ledger_path: Path | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.clock = MovableClock(clock)
        self.silent_seconds = silent_seconds
        self.stopping = threading.Event()
        self.hooks: list[str] = []  # the ids of payments that were told of
        self._waiting: Queue[tuple[str, str, int] | None] = Queue()
        self._ledger = Ledger(ledger_path) if ledger_path else None
        try:
            self.account = Account(clock=self.clock, hook=self._hook, ledger=self._ledger)
            self._http = HttpServer((host, port), self, MollieHandler)
        except BaseException:
            if self._ledger:
                self._ledger.close()
            raise
        self.account.url = self.url
        self._listener = threading.Thread(target=self._http.serve_forever, args=[0.01], daemon=True)
        self._senders = [
            threading.Thread(target=self._send_hooks, daemon=True) for _ in range(HOOKS_AT_ONCE)
        ]

    @property
    def url(self) -> str:
        host, port = self._http.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> None:
        for thread in (self._listener, *self._senders):
            thread.start()

    def stop(self) -> None:
        self.stopping.set()
        for _ in self._senders:
            self._waiting.put(None)
        if self._listener.is_alive():
            self._http.shutdown()
            self._listener.join()
        self._http.server_close()
        self._http.drop_connections()
        if self._ledger:
            self._ledger.close()

    def _hook(self, address: str, payment_id: str) -> None:
        self.hooks.append(payment_id)
        self._waiting.put((address, payment_id, 1))

    def _send_hooks(self) -> None:
        while (hook := self._waiting.get()) is not None:
            address, payment_id, tries = hook
            try:
                answer = requests.post(address, data={"id": payment_id}, timeout=HOOK_SECONDS)
                is_taken = answer.ok
            except requests.RequestException:
                is_taken = False
            if not is_taken and tries < HOOK_TRIES:
                pause = FIRST_PAUSE_SECONDS * 2 ** (tries - 1)
                again = threading.Timer(
                    pause, self._waiting.put, [(address, payment_id, tries + 1)]
                )
                again.daemon = True
                again.start()


class MollieHandler(Handler):
    def do_DELETE(self) -> None:  # noqa: N802 - the name that the base class looks for
        self.do_POST()

    def step_of(self, method: str, path: str) -> str:
        parts = path.strip("/").split("/")
        match method, parts[1:]:
            case "POST", ["payments"]:
                return "open"
            case "POST", ["payments", _, "refunds"]:
                return "refund"
            case "DELETE", _:
                return "cancel"
            case "GET", ["payments", _]:
                return "retrieve"
        return "list"

    def _serve(self, body: bytes) -> None:
        url = urlsplit(self.path)
        if url.path.startswith(CHECKOUT):
            self._customer(url.path.removeprefix(CHECKOUT), body)
            return
        if url.path.startswith("/sandbox/"):
            answer = self._administer(url.path, body)
        elif not self.headers.get("Authorization", "").startswith("Bearer test_"):
            answer = Answer(status=401, body={"status": 401, "title": "Unauthorized Request"})
        else:
            answer = self._answer(self._request(url.path, url.query, body))
        self._reply(answer)

    def _request(self, path: str, query: str, body: bytes) -> Any:
        try:
            wanted = json.loads(body) if body else {}
        except ValueError:
            wanted = {}
        return Request(
            method=self.command,
            path=path.removeprefix("/v2/"),
            params=dict(parse_qsl(query)),
            body=wanted if isinstance(wanted, dict) else {},
            idempotency_key=self.headers.get("Idempotency-Key", ""),
        )

    def _customer(self, payment_id: str, body: bytes) -> None:
        account: Account = self.server.sandbox.account
        chosen = dict(parse_qsl(body.decode("utf-8", "replace"))).get("status", "")
        try:
            payment = account.show(payment_id)
            if self.command == "POST" and chosen in CHOICES:
                payment = account.move(payment_id, chosen)
                self._write(303, {"Location": payment["redirectUrl"]}, b"")
                return
        except Refused as refused:
            self._send(refused.answer)
            return
        html = {"Content-Type": "text/html; charset=utf-8"}
        self._write(200, html, checkout_page(payment).encode())

    def _administer(self, path: str, body: bytes) -> Answer:
        """Pages for demo and tests; Mollie has nothing like them."""
        sandbox = self.server.sandbox
        acts: dict[tuple[str, str], Callable[[Json], Json]] = {
            ("GET", "/sandbox/ledger"): lambda wish: {
                "charges": sandbox.account.charges(),
                "refunds": sandbox.account.refunds(),
            },
            ("POST", "/sandbox/clock"): self._advance_clock,
            ("GET", "/sandbox/faults"): lambda wish: sandbox.faults.told(),
            ("POST", "/sandbox/faults"): self._script_faults,
            ("POST", "/sandbox/payments"): lambda wish: sandbox.account.move(
                wish["payment"], wish["status"]
            ),
            ("POST", "/sandbox/refunds"): lambda wish: sandbox.account.move_refund(
                wish["refund"], wish["status"]
            ),
            ("POST", "/sandbox/chargebacks"): lambda wish: sandbox.account.charge_back(
                wish["payment"]
            ),
        }
        act = acts.get((self.command, path))
        if act is None:
            return Answer(status=404, body={"status": 404, "title": "No such sandbox address"})
        try:
            return Answer(status=200, body=act(json.loads(body) if body else {}))
        except Refused as refused:
            return refused.answer
        except (ValueError, TypeError, KeyError):
            return Answer(status=400, body={"status": 400, "title": "No such wish"})
