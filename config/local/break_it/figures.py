"""What the records outside of a workflow say of it, counted anew at each look."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import psycopg
import requests
from botocore.exceptions import BotoCoreError, ClientError

from checkout.orders.queue.setup import dead_letter_queue_name
from checkout.orders.queue.sqs import PaymentsQueue, QueueMissing, sqs_client
from checkout.orders.states import OrderStatus
from config.local.break_it.findings import (
    Finding,
    duplicates_in,
    lost_charges_in,
    lost_orders_in,
    wrong_amounts_in,
    wrong_states_in,
)
from config.local.break_it.scenes import Scene
from config.local.crowd.comparison import Evidence, totals
from config.local.crowd.orders import MadeOrder
from config.local.crowd.records import Presses, charges_in, refunds_in

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Whoever is still waiting for nothing after so long a quiet has lost something.
QUIET_SECONDS = 5.0

# A figure that its source does not tell at the moment.
Unknown = None

AWAY = (psycopg.Error, requests.RequestException, BotoCoreError, ClientError, QueueMissing, OSError)

MAILS = """SELECT m.kind, count(*) FROM orders_mail m JOIN orders_order o ON o.id = m.order_id
           WHERE m.sent_at IS NOT NULL AND o.email LIKE %s GROUP BY m.kind ORDER BY 2 DESC, 1"""


@dataclass(frozen=True, kw_only=True)
class Queue:
    waiting: int | None = Unknown
    in_flight: int | None = Unknown
    dead_letters: int | None = Unknown


@dataclass(frozen=True, kw_only=True)
class Figures:
    shoppers: int = 0
    shoppers_done: int = 0
    shoppers_gave_up: int = 0
    purchases: int = 0
    presses: int = 0
    orders: int = 0
    charges: int = 0
    not_charged: int = 0
    refunds: int = 0
    under_way: int | None = 0
    mails: Mapping[str, int] | None = Unknown  # by what they tell
    queue: Queue = field(default_factory=Queue)
    duplicate_orders: int = 0
    duplicate_charges: int = 0
    lost: int = 0
    wrong: int = 0
    # The purchases behind the three figures, by the figure's name.
    findings: Mapping[str, list[Finding]] = field(default_factory=dict)
    is_at_rest: bool = True
    is_stale: bool = False

    @property
    def duplicates(self) -> int:
        return self.duplicate_orders + self.duplicate_charges


class Count:
    """Looks at one scene again and again. The records are read in an order in which nothing can be
    taken for lost that just happened: what is on its way, then answers, charges and orders."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.last = Figures()
        self.evidence = Evidence.gather([], Presses(), [], [])  # that the last figures are of

    def look(self) -> Figures:
        scene = self.scene
        figures = replace(
            self.last,
            shoppers=len(scene.plans),
            shoppers_done=scene.crowd.finished,
            shoppers_gave_up=scene.buyer.gave_up + len(scene.crowd.failures),
            queue=self._queue(),
        )
        try:
            figures = self._compare(figures)
        except AWAY:
            figures = replace(figures, is_stale=True, under_way=Unknown)
        self.last = figures
        return figures

    def _compare(self, figures: Figures) -> Figures:
        scene = self.scene
        under_way = scene.unfinished()
        evidence = self._evidence()
        under_way += _not_heard_of(evidence)
        charged = evidence.by_order().keys()
        not_charged = [order for order in evidence.orders if order.number not in charged]
        all_told = totals(evidence)
        is_done = figures.shoppers_done == figures.shoppers and not under_way
        at_rest = is_done and time.time() - _last_change(evidence) > QUIET_SECONDS
        moving = [] if at_rest else [order for order in not_charged if _is_moving(order)]
        lost_charges = list(lost_charges_in(evidence)) if at_rest else []
        wrong = [*wrong_amounts_in(evidence), *(wrong_states_in(evidence) if at_rest else ())]
        self.evidence = evidence
        return replace(
            figures,
            presses=len(evidence.log.presses),
            purchases=all_told.purchases,
            orders=all_told.orders,
            charges=all_told.charges,
            not_charged=len(not_charged) - len(moving),
            refunds=self._refunds(evidence),
            under_way=max(under_way, len(moving)),
            mails=self._mails(),
            duplicate_orders=all_told.duplicate_orders,
            duplicate_charges=all_told.double_charges,
            lost=all_told.lost_orders + (all_told.lost_charges if at_rest else 0),
            wrong=len(wrong),
            findings={
                "Duplicates": list(duplicates_in(evidence)),
                "Lost": [*lost_orders_in(evidence), *lost_charges],
                "Wrong": wrong,
            },
            is_at_rest=at_rest,
            is_stale=False,
        )

    def _evidence(self) -> Evidence:
        """The purchases of the shoppers who were sent; what visitors buy by hand is left out."""
        scene = self.scene
        plans = list(scene.plans)
        log = scene.log.so_far()
        charges = [c for c in charges_in(scene.ledger) if c.at >= scene.began]
        sent = {plan.purchase for plan in plans}
        orders = scene.orders()
        of_others = {order.number for order in orders if order.purchase not in sent}
        return Evidence.gather(
            plans,
            log,
            [order for order in orders if order.purchase in sent],
            [charge for charge in charges if charge.order not in of_others],
        )

    def _refunds(self, evidence: Evidence) -> int:
        numbers = {order.number for order in evidence.orders}
        return sum(order in numbers for order, _, _ in refunds_in(self.scene.ledger))

    def _mails(self) -> dict[str, int] | None:
        if not self.scene.is_shop:
            return Unknown  # no other workflow sends any
        with psycopg.connect(self.scene.database, connect_timeout=5) as connection:
            return dict(connection.execute(MAILS, [f"shopper-{self.scene.run}-%"]).fetchall())

    @cached_property
    def _client(self) -> "SQSClient":
        return sqs_client()

    def _queue(self) -> Queue:
        if not self.scene.queue:
            return Queue()
        try:
            counts = self._counts_of(self.scene.queue)
            dead = self._counts_of(dead_letter_queue_name())[0] if self.scene.is_shop else 0
        except AWAY:
            return Queue()
        return Queue(waiting=counts[0], in_flight=counts[1], dead_letters=dead)

    def _counts_of(self, name: str) -> tuple[int, int]:
        """Waiting and in flight."""
        url = self._client.get_queue_url(QueueName=name)["QueueUrl"]
        counts = PaymentsQueue(self._client, url).counts()
        return counts.waiting + counts.delayed, counts.in_hand


def _not_heard_of(evidence: Evidence) -> int:
    """Orders that wait for their customer's approval at the bank, which has charged them since: the
    shop asks the bank again after a minute, and then after twice as long each time."""
    charged = evidence.by_order().keys()
    return sum(
        order.status == OrderStatus.ACTION_REQUIRED and order.number in charged
        for order in evidence.orders
    )


def _is_moving(order: MadeOrder) -> bool:
    """Whether it is still open whether this order is paid."""
    return order.status in ("placed", "pending")


def _last_change(evidence: Evidence) -> float:
    """When somebody last pressed, was charged, or had an order change, in seconds since 1970."""
    presses = [press.at + press.seconds for press in evidence.log.presses]
    charges = [charge.at for charge in evidence.charges]
    orders = [order.changed_at for order in evidence.orders]
    return max([*presses, *charges, *orders], default=0.0)
