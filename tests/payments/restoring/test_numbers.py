"""Numbers that were seen in the time which a restored backup does not have are not given out again:
those of orders, of invoices, and the ids of rows that have names outside of the database."""

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Invoice, InvoiceGap, Order, OutboxMessage
from checkout.orders.numbers import check_digits
from checkout.orders.restoring.numbers import (
    ORDERS_UNHEARD_OF,
    ROWS_AT_MOST,
    InvoiceNumber,
    move_order_numbers,
    serial_of,
    skip_invoices,
)
from payments.books.audit import audit_database
from payments.gateways.example.client import ExampleGateway
from tests.payments.restoring.conftest import Runs
from tests.payments.restoring.test_take_over import refund, send_refunds, settle, work
from tests.support.audited import violations
from tests.support.backups import Takes
from tests.support.factories import placed_order
from tests.support.sellers import SELLER


def number_of(serial: int) -> str:
    return f"{serial}-{check_digits(serial)}"


def test_no_order_gets_the_number_of_a_lost_one(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> None:
    """Nor that of one that nobody but its customer has heard of."""
    backup = backed_up()
    lost = [placed_order(shelf[0]) for _ in range(3)]
    settle(lost[1], gateway)
    backup.restore()

    report = after_restore(backup)

    wanted = serial_of(lost[1].number) + ORDERS_UNHEARD_OF
    assert report.order_numbers_from == wanted
    assert serial_of(placed_order(shelf[0]).number) > wanted > serial_of(lost[2].number)


@pytest.mark.django_db
def test_order_numbers_are_never_moved_back() -> None:
    ahead = 5_000_000
    assert move_order_numbers([number_of(ahead)]) == ahead + ORDERS_UNHEARD_OF

    assert move_order_numbers([number_of(ahead), number_of(100_001)]) is None
    assert move_order_numbers([]) is None
    assert move_order_numbers(["no number", ""]) is None
    with connection.cursor() as cursor:  # for other tests
        cursor.execute("SELECT setval('orders_order_number_seq', 200000)")


def test_ids_of_rows_do_not_come_again(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> None:
    """SQS would take a message for the repetition of a lost one, and drop it."""
    order = placed_order(shelf[0])
    backup = backed_up()
    OutboxMessage.objects.create(order=order, kind="refund", available_at=timezone.now())
    seen = {message.deduplication_id for message in OutboxMessage.objects.all()}
    highest = OutboxMessage.objects.latest("pk").pk
    backup.restore()

    after_restore(backup)

    OutboxMessage.objects.create(order=order, kind="refund", available_at=timezone.now())
    again = {message.deduplication_id for message in OutboxMessage.objects.all()}
    assert not seen & again
    assert OutboxMessage.objects.latest("pk").pk > highest + ROWS_AT_MOST / 2


@pytest.fixture
def sold(shelf: list[Product], gateway: ExampleGateway, settings: Settings) -> list[Order]:
    """A shop that issues invoices, and has two of this year."""
    settings.SELLER = SELLER
    orders = [placed_order(shelf[0]) for _ in range(2)]
    for order in orders:
        settle(order, gateway)
    return orders


def this_year(series: str, sequence: int) -> str:
    return f"{series}-{timezone.now().year}-{sequence:06}"


def test_numbers_of_lost_invoices_are_left_out_and_the_audit_knows(
    shelf: list[Product],
    gateway: ExampleGateway,
    sold: list[Order],
    backed_up: Takes,
    after_restore: Runs,
) -> None:
    late = placed_order(shelf[1])
    backup = backed_up()
    settle(late, gateway)
    settle(placed_order(shelf[1]), gateway)
    refund(sold[0], 300)
    send_refunds(sold[0], gateway)
    lost = set(Invoice.objects.order_by("id").values_list("number", flat=True)[2:])
    assert lost == {this_year("INV", 3), this_year("INV", 4), this_year("CN", 1)}
    backup.restore()

    after_restore(backup, last_invoices=(this_year("INV", 4), this_year("CN", 1)))
    work(gateway)

    issued = set(Invoice.objects.values_list("number", flat=True))
    assert not issued & lost
    assert {this_year("INV", 5), this_year("CN", 2)} <= issued  # of what was taken over
    gaps = InvoiceGap.objects.order_by("series").values_list("series", "first", "last", "found_by")
    assert list(gaps) == [("CN", 1, 1, "ada"), ("INV", 3, 4, "ada")]
    assert violations(of="I11") == []
    known = [row for finding in audit_database(timezone.now()) for row in finding.known]
    assert [row.partition(" are left out")[0] for row in known] == [
        f"INV {timezone.now().year}: 3 to 4",
        f"CN {timezone.now().year}: 1 to 1",
    ]


def test_gap_that_nobody_wrote_down_is_still_found(
    gateway: ExampleGateway, shelf: list[Product], sold: list[Order]
) -> None:
    year = timezone.now().year
    skip_invoices(InvoiceNumber(series="INV", year=year, sequence=5), by="ada", now=timezone.now())
    settle(placed_order(shelf[0]), gateway)
    assert violations(of="I11") == []

    InvoiceGap.objects.update(last=4)

    [row] = violations(of="I11")
    assert row.startswith(f"INV {year}: the counter says 6, there are 5 numbers")


def test_what_was_issued_already_leaves_no_gap(sold: list[Order]) -> None:
    for sequence in (0, 1, 2):
        seen = InvoiceNumber(series="INV", year=timezone.now().year, sequence=sequence)
        assert skip_invoices(seen, by="ada", now=timezone.now()) is None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("INV-2026-000123", ("INV", 2026, 123)),
        (" A-B-2026-1 ", ("A-B", 2026, 1)),
        ("INV-2026-000000", ("INV", 2026, 0)),
        ("INV-2026", None),
        ("2026-000123", None),
        ("INV-2026-١٢٣", None),
    ],
)
def test_number_of_an_invoice_as_it_is_typed(
    written: str, read: tuple[str, int, int] | None
) -> None:
    number = InvoiceNumber.read(written)
    assert (number and (number.series, number.year, number.sequence)) == read
