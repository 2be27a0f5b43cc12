"""The database goes back to random moments of a run of orders, one after the other. After the
command each charge without an order is named, nothing of another's is touched, no number is used
twice, and the workers charge and send back nothing a second time."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.identity.installation import installation_id
from checkout.orders.models import Invoice, Order
from checkout.orders.pausing import is_paused, resume_payments
from checkout.orders.restoring.numbers import InvoiceNumber
from checkout.orders.restoring.restores import restore_noted
from payments.gateways.base import GatewayPayment, GatewayState
from payments.models import LostOrder, Payment
from payments.restoring.run import Report, Wish, after_restore
from tests.support.audited import violations
from tests.support.backups import Backup
from tests.support.factories import placed_order
from tests.support.long import at_length
from tests.support.lost_time import Shop, copied, listed, refunded, sandbox_of, work_on
from tests.support.sellers import SELLER
from tests.support.till import Till, only

SEED = 20_261_130

WAITS = "No order waits for a person"


@dataclass(frozen=True)
class Cut:
    """A backup, and what was known then. What the gateway knew in the end is the same for all."""

    backup: Backup
    shop: Shop
    ledger: Path
    last_invoices: tuple[InvoiceNumber, ...]


@pytest.fixture
def sells(
    tmp_path: Path, shelf: list[Product], settings: Settings
) -> Iterator[Callable[[int, int], list[Cut]]]:
    """Places so many orders, and takes so many backups meanwhile."""
    settings.SELLER = SELLER
    ledger = tmp_path / "ledger.jsonl"
    backups: list[Backup] = []

    def sell(orders: int, cuts: int) -> list[Cut]:
        dice = random.Random(SEED)
        at = set(dice.sample(range(orders), cuts))
        with sandbox_of(ledger) as till:
            shop = Shop(till, shelf, dice)
            for number in range(orders):
                shop.one_more()
                if number in at:
                    backups.append(Backup.take())
                shop.goes_on()
        last = tuple(_last(shop.invoices, series) for series in ("CN", "INV"))
        return [Cut(backup, shop, ledger, last) for backup in backups]

    yield sell
    for backup in backups:
        backup.drop()


def _last(invoices: set[str], series: str) -> InvoiceNumber:
    numbers = [InvoiceNumber.read(number) for number in invoices]
    of_series = [number for number in numbers if number and number.series == series]
    nothing = InvoiceNumber(series=series, year=timezone.now().year, sequence=0)
    return max(of_series, key=lambda number: number.sequence, default=nothing)


@pytest.fixture(autouse=True)
def _no_queue(nothing_in_the_queue: None) -> None:
    pass


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("orders", "cuts"), [(12, 2), *at_length((500, 50))])
def test_backup_of_a_random_moment(
    sells: Callable[[int, int], list[Cut]], tmp_path: Path, orders: int, cuts: int
) -> None:
    taken = sells(orders, cuts)
    assert len(taken) == cuts
    lost = 0
    for number, cut in enumerate(taken):
        with sandbox_of(copied(cut.ledger, tmp_path / f"ledger-{number}.jsonl")) as till:
            lost += go_back_to(cut, till)
        print(f"cut {number + 1} of {cuts}: {lost} lost so far")
    assert lost > cuts  # so that there was something to be named


def go_back_to(cut: Cut, till: Till) -> int:
    """How many charges without an order were named."""
    cut.backup.restore()
    before = listed(till.gateway, cut.backup)
    refunds = refunded(till.gateway, cut.backup)
    known = set(Invoice.objects.values_list("number", flat=True))

    run(cut, till)
    charges = assert_named(before)
    assert_second_run_changes_nothing(cut, till)
    assert listed(till.gateway, cut.backup) == before  # nothing is done at the gateway
    assert is_paused()

    till.advance_clock(timedelta(hours=25))  # the gateway has forgotten all keys
    resume_payments(by="ada", now=timezone.now())
    work_on(till.gateway)
    assert_nothing_twice(before, listed(till.gateway, cut.backup))
    again = refunded(till.gateway, cut.backup)
    assert {one: count for one, count in again.items() if count > max(1, refunds[one])} == {}
    assert_new_numbers(cut, till, known)
    assert violations(but_for=WAITS) == []
    return charges


def run(cut: Cut, till: Till) -> Report:
    since = cut.backup.taken_at
    wish = Wish(
        since=since,
        by="ada",
        noted_before="before" if restore_noted(since=since) else "",
        dry_run=False,
        last_invoices=cut.last_invoices,
    )
    return after_restore(wish, only(till.gateway), clock=timezone.now)


def assert_named(before: dict[str, GatewayPayment]) -> int:
    """Each is named with the reference, amount and id that the ledger has, and nobody else's is."""
    here = set(Order.objects.values_list("reference", flat=True))
    lost = {
        one.id: (one.order.number, one.order.reference, one.state.value, one.amount_minor)
        for one in before.values()
        if one.order.installation == installation_id() and one.order.reference not in here
    }
    named = LostOrder.objects.values_list(
        "gateway_payment_id", "number", "reference", "state", "amount_minor"
    )
    assert {payment: tuple(known) for payment, *known in named} == lost
    ours = {one.id for one in before.values() if one.order.reference in here}
    ours &= {one.id for one in before.values() if one.order.installation == installation_id()}
    known_here = set(Payment.objects.values_list("gateway_payment_id", flat=True)) - {""}
    assert known_here <= ours
    charged = {one.id for one in before.values() if one.state is GatewayState.PAID}
    assert charged & ours <= known_here
    return len(charged & lost.keys())


def assert_second_run_changes_nothing(cut: Cut, till: Till) -> None:
    def rows() -> list[object]:
        tables = (Order, Payment, LostOrder, Invoice)
        return [list(table.objects.order_by("pk").values_list()) for table in tables]

    before = rows()
    assert not run(cut, till).changed
    assert rows() == before


def assert_nothing_twice(
    before: dict[str, GatewayPayment], after: dict[str, GatewayPayment]
) -> None:
    """No order has more charges than it had, or than one; strangers and lost orders have theirs."""
    here = set(Order.objects.values_list("reference", flat=True))

    def charges(payments: dict[str, GatewayPayment]) -> dict[str, int]:
        counted: dict[str, int] = {}
        for one in payments.values():
            if one.order.installation == installation_id() and one.state is GatewayState.PAID:
                counted[one.order.reference] = counted.get(one.order.reference, 0) + 1
        return counted

    had = charges(before)
    twice = {of: n for of, n in charges(after).items() if n > max(1, had.get(of, 0))}
    assert twice == {}
    for one in before.values():
        if one.order.installation != installation_id() or one.order.reference not in here:
            assert after[one.id] == one


def assert_new_numbers(cut: Cut, till: Till, known: set[str]) -> None:
    product = cut.shop.products[0]
    new = [placed_order(product) for _ in range(2)]
    for order in new:
        till.settle(order)
    assert not {order.number for order in new} & cut.shop.numbers
    issued = set(Invoice.objects.values_list("number", flat=True)) - known
    assert issued
    assert not issued & cut.shop.invoices
