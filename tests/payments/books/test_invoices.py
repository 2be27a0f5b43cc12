"""The audit finds a missing number, a double one, and an invoice that does not fit its order."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Invoice, InvoiceCounter, Order
from payments.models import Payment
from payments.refunds import request_refund
from tests.support.audited import findings_of
from tests.support.factories import placed_order
from tests.support.sellers import SELLER
from tests.support.till import Till

NUMBERS, INVOICED, CREDITED, CONTENT = (
    "No invoice number is missing or double",
    "Each paid order has its invoice",
    "What was sent back is credited, and once",
    "Each invoice says what its order costs",
)


def wrong() -> dict[str, list[str]]:
    findings = findings_of("I11")
    assert [f.promise for f in findings] == [NUMBERS, INVOICED, CREDITED, CONTENT]
    return {f.promise: f.rows for f in findings if f.count}


def by_force(change: Callable[[], object]) -> None:
    """As a person with SQL could."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE orders_invoice DISABLE TRIGGER orders_invoice_frozen")
        change()
        cursor.execute("ALTER TABLE orders_invoice ENABLE TRIGGER orders_invoice_frozen")


@pytest.fixture
def invoiced(shelf: list[Product], till: Till, settings: Settings) -> list[Order]:
    """Three paid orders, of which the first was refunded in two parts. One before them was paid
    while there was no seller."""
    till.settle(placed_order(shelf[0]))
    settings.SELLER = SELLER
    orders = [placed_order(shelf[0]) for _ in range(3)]
    for order in orders:
        till.settle(order)
    payment = Payment.objects.get(order=orders[0])
    for amount_minor in (300, 701):
        request_refund(
            payment, amount_minor=amount_minor, reason="x", requested_by=None, now=timezone.now()
        )
        till.deliver_messages()
    assert Invoice.objects.count() == 5
    return orders


def test_invoices_in_order_are_found_in_order(invoiced: list[Order]) -> None:
    assert wrong() == {}


def deleted(**which: object) -> Callable[[], object]:
    return lambda: Invoice.objects.filter(**which).delete()


def changed(**what: object) -> Callable[[], object]:
    return lambda: Invoice.objects.filter(sequence=2, kind="invoice").update(**what)


BREAKS: dict[str, tuple[Callable[[], object], set[str]]] = {
    "a number in the middle is gone": (
        deleted(sequence=2, kind="invoice"),
        {NUMBERS, INVOICED},
    ),
    "the last number is gone": (deleted(sequence=3, kind="invoice"), {NUMBERS, INVOICED}),
    "a credit note is gone": (deleted(sequence=2, kind="credit_note"), {NUMBERS, CREDITED}),
    "the counter is gone": (lambda: InvoiceCounter.objects.all().delete(), {NUMBERS}),
    "the counter is behind": (lambda: InvoiceCounter.objects.update(last=1), {NUMBERS}),
    "another total": (changed(total_minor=1), {CONTENT}),
    "another content": (changed(content={"total_minor": 5, "taxes": []}), {CONTENT}),
    "credited too much": (
        lambda: Invoice.objects.filter(kind="credit_note", sequence=1).update(total_minor=900),
        {CREDITED, CONTENT},
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_each_break_is_found(invoiced: list[Order], name: str) -> None:
    change, promises = BREAKS[name]
    by_force(change)

    assert wrong().keys() == promises


def test_a_row_is_named_with_what_is_wrong(invoiced: list[Order]) -> None:
    by_force(deleted(sequence=2, kind="invoice"))
    year = timezone.now().year

    found = wrong()

    assert found[NUMBERS] == [f"INV {year}: the counter says 3, there are 2 numbers from 1 to 3"]
    [missing] = found[INVOICED]
    assert missing.startswith(f"{invoiced[1].number}: order is paid, was paid on ")


def test_what_prune_has_deleted_is_no_gap(invoiced: list[Order]) -> None:
    old = timezone.now().year - 8

    def age() -> None:
        Invoice.objects.update(year=old)
        InvoiceCounter.objects.update(year=old)
        Invoice.objects.filter(sequence=1).delete()

    by_force(age)
    assert NUMBERS not in wrong()

    by_force(lambda: Invoice.objects.all().delete())
    assert NUMBERS not in wrong()
