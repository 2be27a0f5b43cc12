"""A shop that sells, declines, sends back and cancels while backups are taken at random moments,
and that is put back to each of them. The gateway keeps what it was told: its ledger goes on."""

import random
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from django.db.models import Model, QuerySet
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import Invoice, Order, OutboxMessage
from checkout.orders.paying import pay_again
from checkout.orders.states import EXPIRING, UNSETTLED
from payments.gateways.base import Gateway, GatewayPayment, OutcomeUnknown
from payments.gateways.load import Gateways
from payments.gateways.stripe.client import StripeGateway
from payments.models import Payment
from payments.refunds import RefundImpossible, request_refund
from payments.sandbox.server import SandboxServer
from payments.settling.check_order import cancel_order
from payments.settling.settle_order import settle_order
from payments.worker.handle import HANDLERS
from tests.doubles.gateway import FaultyGateway
from tests.support.asked import asked
from tests.support.backups import Backup
from tests.support.factories import placed_order
from tests.support.till import Till, only

METHODS = {
    "pm_card_visa": 12,
    "pm_card_chargeDeclined": 3,
    "pm_card_authenticationRequired": 3,
    "ctoken_{}_sepaDebit": 2,
}


Row = TypeVar("Row", bound=Model)

DAY = timedelta(days=1)


class Died(BaseException):
    """The worker's process ended in the middle of what it did."""


@contextmanager
def sandbox_of(ledger: Path) -> Iterator[Till]:
    server = SandboxServer(ledger_path=ledger)
    server.start()
    try:
        gateway = StripeGateway(
            secret_key="sk_test_shop", api_base=server.url, timeout_seconds=20.0
        )
        yield Till(server.url, gateway)
    finally:
        server.stop()


@dataclass
class Shop:
    """What happened from its first order on, written down outside of its database."""

    till: Till
    products: list[Product]
    dice: random.Random
    numbers: set[str] = field(default_factory=set)
    invoices: set[str] = field(default_factory=set)

    @property
    def gateways(self) -> Gateways:
        """Its worker dies now and then, before or after a call, and some answers are lost."""
        places = ("open", "confirm", "refund", "cancel")
        faults = dict.fromkeys(places, self._fails)
        return only(FaultyGateway(self.till.gateway, before=dict(faults), after=dict(faults)))

    def _fails(self) -> None:
        chance = self.dice.random()
        if chance < 0.02:
            raise Died
        if chance < 0.04:
            raise OutcomeUnknown("timeout")

    def one_more(self) -> None:
        """An order is placed, and perhaps its worker has begun with it."""
        placed_order(self.dice.choice(self.products[:5]), payment_method=self._a_method())
        self._write_down()
        if self.dice.random() < 0.5:
            self._does(self._settle_some)

    def goes_on(self) -> None:
        for act, chance in (
            (self._settle_some, 0.9),
            (self._pay_again, 0.3),
            (self._answer_the_bank, 0.3),
            (self._ask_for_a_refund, 0.3),
            (self._cancel, 0.1),
            (self._a_stranger_pays, 0.05),
        ):
            if self.dice.random() < chance:
                self._does(act)

    def _does(self, act: Callable[[], None]) -> None:
        """It may be cut short by the death of a worker."""
        with suppress(Died):
            act()
        self._write_down()

    def _write_down(self) -> None:
        self.numbers |= set(Order.objects.values_list("number", flat=True))
        self.invoices |= set(Invoice.objects.values_list("number", flat=True))

    def _a_method(self) -> str:
        [method] = self.dice.choices([*METHODS], [*METHODS.values()])
        return method.format(self.dice.randbytes(4).hex())

    def _settle_some(self) -> None:
        for message in self._some(OutboxMessage.objects.filter(published_at=None), at_most=3):
            OutboxMessage.objects.filter(pk=message.pk).update(published_at=timezone.now())
            HANDLERS[message.kind](message.order.number, self.gateways, clock=timezone.now)

    def _pay_again(self) -> None:
        for order in self._some(Order.objects.filter(status__in=EXPIRING)):
            pay_again(
                order,
                gateway="stripe",
                payment_method=self._a_method(),
                failed_round=None,
                now=timezone.now(),
            )

    def _answer_the_bank(self) -> None:
        for payment in self._some(Payment.objects.filter(status="needs_action")):
            self.till.approve(payment)
        for payment in self._some(Payment.objects.filter(status="promised")):
            self.till.end_debit(payment)

    def _ask_for_a_refund(self) -> None:
        for payment in self._some(Payment.objects.filter(status="paid", is_surplus=False)):
            with suppress(RefundImpossible):
                request_refund(
                    payment,
                    amount_minor=self.dice.randint(1, 300),
                    reason="Broken",
                    requested_by=None,
                    now=timezone.now(),
                )

    def _cancel(self) -> None:
        for order in self._some(Order.objects.filter(status__in=EXPIRING)):
            cancel_order(order.number, self.gateways, clock=timezone.now)

    def _a_stranger_pays(self) -> None:
        """Another shop on the account, whose order has the number of one of ours."""
        [order] = self._some(Order.objects.all())
        names = OrderIdentity(number=order.number, reference=order.reference, installation="else")
        gateway = self.till.gateway
        opened = gateway.open(
            asked(order=names, amount_minor=order.total_minor),
            idempotency_key=secrets.token_hex(8),
        )
        gateway.confirm(opened.id, asked(order=names), idempotency_key=secrets.token_hex(8))

    def _some(self, rows: QuerySet[Row], *, at_most: int = 1) -> list[Row]:
        found = list(rows.order_by("pk"))
        return self.dice.sample(found, min(at_most, len(found)))


def listed(gateway: Gateway, backup: Backup) -> dict[str, GatewayPayment]:
    """All that the gateway has, by id."""
    return {one.id: one for one in gateway.list_since(backup.taken_at - DAY)}


def copied(ledger: Path, to: Path) -> Path:
    shutil.copy(ledger, to)
    return to


def work_on(gateway: Gateway) -> None:
    """Publisher, worker and sweep, after payments were resumed: all that waits, and what that asks
    for, each twice."""
    for _ in range(2):
        while message := OutboxMessage.objects.filter(published_at=None).order_by("id").first():
            OutboxMessage.objects.filter(pk=message.pk).update(published_at=timezone.now())
            HANDLERS[message.kind](message.order.number, only(gateway), clock=timezone.now)
        for order in Order.objects.filter(status__in=UNSETTLED).order_by("id"):
            settle_order(order.number, only(gateway), clock=timezone.now)


def refunded(gateway: Gateway, backup: Backup) -> Counter[tuple[str, int]]:
    """How often each amount of each payment was sent back."""
    made = gateway.list_refunds_since(backup.taken_at - DAY)
    return Counter((refund.payment_id, refund.amount_minor) for refund in made)
