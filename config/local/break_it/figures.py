"""What the records outside of a workflow say of it, counted anew at each look."""

import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import psycopg
import requests
from botocore.exceptions import BotoCoreError, ClientError

from checkout.orders.queue.setup import dead_letter_queue_name
from checkout.orders.queue.sqs import PaymentsQueue, QueueMissing, sqs_client
from checkout.orders.states import OrderStatus
from config.local.break_it.scenes import Scene
from config.local.crowd.comparison import (
    Evidence,
    one_charge_each,
    one_order_each,
    paid_if_charged,
    totals,
)
from config.local.crowd.records import charges_in, refunds_in

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Whoever is still waiting for nothing after so long a quiet has lost something.
QUIET_SECONDS = 5.0

# A figure that its source does not tell at the moment.
Unknown = None

AWAY = (psycopg.Error, requests.RequestException, BotoCoreError, ClientError, QueueMissing, OSError)

MAILS = """SELECT count(*) FROM orders_mail m JOIN orders_order o ON o.id = m.order_id
           WHERE m.sent_at IS NOT NULL AND o.email LIKE %s"""


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
    mails: int | None = 0
    queue: Queue = field(default_factory=Queue)
    duplicates: int = 0
    lost: int = 0
    wrong: int = 0
    examples: tuple[str, ...] = ()  # of what is duplicate, lost or wrong
    is_at_rest: bool = True
    is_stale: bool = False


class Count:
    """Looks at one scene again and again. The records are read in an order in which nothing can be
    taken for lost that just happened: what is on its way, then answers, charges and orders."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.last = Figures()

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
        numbers = {order.number for order in evidence.orders}
        all_told = totals(evidence)
        is_done = figures.shoppers_done == figures.shoppers and not under_way
        at_rest = is_done and time.time() - _last_change(evidence) > QUIET_SECONDS
        amounts = _wrong_amounts(evidence)
        unpaid = paid_if_charged(evidence).broken if at_rest else []
        return replace(
            figures,
            presses=len(evidence.log.presses),
            purchases=all_told.purchases,
            orders=all_told.orders,
            charges=all_told.charges,
            not_charged=len(numbers - evidence.by_order().keys()),
            refunds=sum(order in numbers for order, _, _ in refunds_in(scene.ledger)),
            under_way=under_way,
            mails=self._mails(),
            duplicates=all_told.duplicate_orders + all_told.double_charges,
            lost=all_told.lost_orders + (all_told.lost_charges if at_rest else 0),
            wrong=len(amounts) + len(unpaid),
            examples=tuple((one_order_each(evidence).broken + amounts + unpaid)[:3]),
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

    def _mails(self) -> int | None:
        if not self.scene.is_shop:
            return Unknown  # no other workflow sends any
        with psycopg.connect(self.scene.database, connect_timeout=5) as connection:
            row = connection.execute(MAILS, [f"shopper-{self.scene.run}-%"]).fetchone()
        return int(row[0]) if row else 0

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


def _last_change(evidence: Evidence) -> float:
    """When somebody last pressed, was charged, or had an order change, in seconds since 1970."""
    presses = [press.at + press.seconds for press in evidence.log.presses]
    charges = [charge.at for charge in evidence.charges]
    orders = [order.changed_at for order in evidence.orders]
    return max([*presses, *charges, *orders], default=0.0)


def _wrong_amounts(evidence: Evidence) -> list[str]:
    """Charged once, and not what the order costs, or for an order that is not there."""
    twice = {number for number, charges in evidence.by_order().items() if len(charges) > 1}
    broken = one_charge_each(evidence).broken
    return [row for row in broken if row.partition(":")[0] not in twice]
