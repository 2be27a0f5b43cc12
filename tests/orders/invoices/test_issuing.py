"""One invoice for what was paid, one credit note for what was sent back, and no number missing."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.cancelling import cancel_unpaid
from checkout.orders.invoices.issue import issue_credit_note, issue_invoice
from checkout.orders.models import Invoice, InvoiceCounter, Order
from checkout.runtime.retention import ENDS
from payments.gateways.base import GatewayPayment, GatewayState
from payments.models import Payment, Refund
from payments.refunds import approve_refund, request_refund
from payments.settling.outcomes import record_success
from payments.settling.refunds import record_came_back
from payments.settling.resolve_unknown import resolve_charged
from payments.states import PaymentStatus, RefundStatus
from tests.doubles.gateway import FaultyGateway
from tests.support.factories import placed_order
from tests.support.order_with_parts import (
    CODE,
    METHOD,
    TOTAL_MINOR,
    order_of_the_release_before,
    order_with_parts,
    rules_of_ireland,
)
from tests.support.sellers import SELLER
from tests.support.till import Till
from tests.support.waiting import until_somebody_waits, wait_long_for_locks


def this_year() -> int:
    return timezone.now().year


def number(sequence: int, series: str = "INV") -> str:
    return f"{series}-{this_year()}-{sequence:06d}"


def numbers() -> list[str]:
    return list(Invoice.objects.order_by("id").values_list("number", flat=True))


def last_of(series: str) -> int:
    last: int = InvoiceCounter.objects.get(series=series, year=this_year()).last
    return last


@pytest.fixture
def paid(shelf: list[Product], till: Till) -> Order:
    order = placed_order(shelf[0], shelf[1])
    till.settle(order)
    order.refresh_from_db()
    return order


def send_back(order: Order, amount_minor: int, till: Till) -> Refund:
    payment = Payment.objects.get(order=order, status="paid", is_surplus=False)
    refund = request_refund(
        payment,
        amount_minor=amount_minor,
        reason="A page was missing",
        requested_by=None,
        now=timezone.now(),
    )
    till.deliver_messages()
    refund.refresh_from_db()
    return refund


def test_every_paid_order_has_one_invoice_and_the_numbers_follow_each_other(
    shelf: list[Product], till: Till
) -> None:
    orders = [placed_order(shelf[0]) for _ in range(3)]
    till.settle_everything_twice()

    assert numbers() == [number(1), number(2), number(3)]
    assert [each.order for each in Invoice.objects.order_by("id")] == orders
    assert last_of("INV") == 3


def test_placing_a_declined_card_and_a_free_order_take_no_number(
    shelf: list[Product], till: Till
) -> None:
    Product.objects.filter(pk=shelf[1].pk).update(price_minor=0)
    shelf[1].refresh_from_db()
    declined = placed_order(shelf[0], payment_method="pm_card_chargeDeclined")
    free = placed_order(shelf[1])
    till.settle(declined)
    free.refresh_from_db()

    assert free.status == "paid"
    assert not Invoice.objects.exists()
    assert not InvoiceCounter.objects.exists()


def test_without_a_seller_there_are_no_invoices_and_no_further_statement(
    shelf: list[Product], till: Till, settings: Settings
) -> None:
    settings.SELLER = None
    order = placed_order(shelf[0])
    till.settle(order)
    send_back(order, 100, till)

    assert not Invoice.objects.exists()
    with CaptureQueriesContext(connection) as statements:
        issue_invoice(order, now=timezone.now())
    assert len(statements) == 0


def test_a_repetition_takes_no_number(paid: Order) -> None:
    with CaptureQueriesContext(connection) as statements, transaction.atomic():
        issue_invoice(paid, now=timezone.now())

    assert len([each for each in statements if "orders_invoice" in each["sql"]]) == 1
    assert numbers() == [number(1)]
    assert last_of("INV") == 1


def test_a_number_that_is_rolled_back_is_given_out_again(
    shelf: list[Product], paid: Order, till: Till
) -> None:
    order = placed_order(shelf[0])
    Order.objects.filter(pk=order.pk).update(status="paid")
    order.events.update(to_status="paid")
    with transaction.atomic():
        issue_invoice(order, now=timezone.now())
        assert last_of("INV") == 2
        transaction.set_rollback(True)

    till.settle(placed_order(shelf[0]))

    assert numbers() == [number(1), number(2)]
    assert last_of("INV") == 2


@pytest.mark.parametrize("is_rolled_back", [False, True])
def test_two_payments_at_once_take_numbers_in_turn(
    shelf: list[Product], is_rolled_back: bool
) -> None:
    """The second waits until the first has its number for good, or has given it back."""
    first, second = placed_order(shelf[0]), placed_order(shelf[0])
    for order in (first, second):
        Order.objects.filter(pk=order.pk).update(status="paid")
        order.events.update(to_status="paid")

    def invoice_the_second() -> None:
        wait_long_for_locks()
        try:
            with transaction.atomic():
                issue_invoice(second, now=timezone.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            issue_invoice(first, now=timezone.now())
            waiting = other.submit(invoice_the_second)
            until_somebody_waits()
            transaction.set_rollback(is_rolled_back)
        waiting.result(timeout=20)

    assert numbers() == ([number(1)] if is_rolled_back else [number(1), number(2)])
    assert last_of("INV") == len(numbers())


class SaysPaid(FaultyGateway):
    def retrieve(self, payment_id: str) -> GatewayPayment:
        return replace(self.inner.retrieve(payment_id), state=GatewayState.PAID)


def test_whatever_makes_an_order_paid_invoices_it(shelf: list[Product], till: Till) -> None:
    """A late success, a revived order, and a person who resolved an unknown outcome; reconciliation
    records a charge by the same function, see test_repair."""
    late, revived, resolved = (
        placed_order(shelf[0], payment_method="pm_card_chargeDeclined") for _ in range(3)
    )
    for order in (late, revived, resolved):
        till.settle(order)
    assert cancel_unpaid(revived, now=timezone.now())
    for_one = Payment.objects.get(order=resolved)
    Payment.objects.filter(pk=for_one.pk).update(status=PaymentStatus.UNKNOWN, settled_at=None)
    Order.objects.filter(pk=resolved.pk).update(status="placed", sweep_at=timezone.now())
    assert not Invoice.objects.exists()

    lying = Till(till.sandbox_url, SaysPaid(till.gateway))
    lying.check(late)
    lying.check(revived)
    for_one.refresh_from_db()
    resolve_charged(
        for_one,
        gateway_payment_id=for_one.gateway_payment_id,
        by="ada",
        evidence="Seen there",
        now=timezone.now(),
    )

    assert set(Order.objects.values_list("status", flat=True)) == {"paid"}
    invoices = Invoice.objects.order_by("id")
    assert [each.order for each in invoices] == [late, revived, resolved]
    assert all(each.event.to_status == "paid" for each in invoices)


def test_a_second_charge_is_not_invoiced_and_its_way_back_not_credited(
    paid: Order, till: Till
) -> None:
    first = Payment.objects.get()
    second = Payment.objects.create(
        order=paid,
        round=2,
        amount_minor=first.amount_minor,
        currency=first.currency,
        payment_method="pm_card_visa",
        gateway_payment_id="pi_second",
        status=PaymentStatus.PROCESSING,
        created_at=timezone.now(),
    )
    answer = replace(till.gateway.retrieve(first.gateway_payment_id), id="pi_second")
    record_success(second, answer, now=timezone.now())
    refund = Refund.objects.get(payment=second)

    assert refund.status == RefundStatus.PREPARED
    assert numbers() == [number(1)]


def test_what_an_invoice_says_is_what_the_order_was(shelf: list[Product], till: Till) -> None:
    rules_of_ireland()
    order = order_with_parts(shelf)
    till.settle(order)
    order.refresh_from_db()
    invoice = Invoice.objects.get()
    today = timezone.now().date().isoformat()

    assert (invoice.total_minor, invoice.currency) == (TOTAL_MINOR, "EUR")
    assert invoice.content == {
        "version": 1,
        "seller": SELLER,
        "issued_on": today,
        "placed_on": today,
        "paid_on": today,
        "buyer": {
            "full_name": "Accounts of Quillfeather",
            "address": "1 Ledger Street",
            "city": "Dublin",
            "postcode": "D02 X285",
            "country": "IE",
            "vat_id": "IE6388047V",
        },
        "order": order.number,
        "language": "en",
        "lines": [
            {
                "sku": "SKU-01",
                "name": "Notebook 01",
                "quantity": 2,
                "unit_price_minor": 1001,
                "discount_minor": 200,
                "tax_percent": "23",
                "tax_minor": 337,
                "total_minor": 2002,
            },
            {
                "sku": "SKU-02",
                "name": "Notebook 02",
                "quantity": 1,
                "unit_price_minor": 1002,
                "discount_minor": 100,
                "tax_percent": "13.5",
                "tax_minor": 107,
                "total_minor": 1002,
            },
        ],
        "goods_minor": 3004,
        "discount": {"code": CODE, "amount_minor": 300},
        "delivery": {"name": METHOD, "price_minor": 490},
        "taxes": order.taxes,
        "taxed_in": "IE",
        "prices_include_tax": True,
        "total_minor": TOTAL_MINOR,
        "currency": "EUR",
    }


def test_without_an_address_for_the_bill_the_buyer_is_billed_where_the_parcel_goes(
    paid: Order,
) -> None:
    buyer = Invoice.objects.get().content["buyer"]

    assert buyer["full_name"] == paid.full_name
    assert (buyer["address"], buyer["country"], buyer["vat_id"]) == (paid.address, "IE", "")


def test_what_bears_no_tax_is_a_rate_of_its_own(paid: Order) -> None:
    """An order names the rates above zero only, and an invoice all that make its total."""
    assert Invoice.objects.get().content["taxes"] == [
        {"percent": "0", "net_minor": paid.total_minor, "tax_minor": 0}
    ]


def test_an_order_of_the_release_before_has_lines_without_rates(
    shelf: list[Product], till: Till
) -> None:
    order = order_of_the_release_before(shelf[0])
    till.settle(order)
    content = Invoice.objects.get().content
    send_back(order, 500, till)

    assert [line["tax_percent"] for line in content["lines"]] == [None]
    assert (content["goods_minor"], content["taxes"]) == (order.total_minor, [])
    assert Invoice.objects.get(kind="credit_note").content["taxes"] == []


def test_each_refund_has_a_credit_note_and_together_they_are_the_invoice(
    shelf: list[Product], till: Till
) -> None:
    rules_of_ireland()
    order = order_with_parts(shelf)
    till.settle(order)
    for amount_minor in (1, 1000, 333, TOTAL_MINOR - 1334):
        send_back(order, amount_minor, till)
    invoice, *notes = Invoice.objects.order_by("id")

    assert [note.number for note in notes] == [number(n, "CN") for n in (1, 2, 3, 4)]
    assert [note.total_minor for note in notes] == [1, 1000, 333, TOTAL_MINOR - 1334]
    assert all(note.corrects == invoice for note in notes)
    assert notes[0].content["corrects"] == {
        "number": invoice.number,
        "issued_on": invoice.content["issued_on"],
    }
    assert notes[0].content["buyer"] == invoice.content["buyer"]
    for note in notes:
        parts = [tax["net_minor"] + tax["tax_minor"] for tax in note.content["taxes"]]
        assert sum(parts) == note.total_minor
        assert min(parts) > 0
    for tax in invoice.content["taxes"]:
        credited = [
            each
            for note in notes
            for each in note.content["taxes"]
            if each["percent"] == tax["percent"]
        ]
        assert sum(each["net_minor"] for each in credited) == tax["net_minor"]
        assert sum(each["tax_minor"] for each in credited) == tax["tax_minor"]


def test_a_refund_that_came_back_and_is_sent_again_has_no_second_credit_note(
    paid: Order, till: Till
) -> None:
    first = send_back(paid, 500, till)
    record_came_back(first, now=timezone.now())
    assert Order.objects.get().refunded_minor == 0
    send_back(paid, 500, till)
    assert Order.objects.get().refunded_minor == 500

    assert numbers() == [number(1), number(1, "CN")]
    assert last_of("CN") == 1

    send_back(paid, 200, till)
    assert [each.total_minor for each in Invoice.objects.filter(kind="credit_note")] == [500, 200]


def test_the_way_back_of_what_was_charged_too_much_is_not_credited(
    shelf: list[Product], till: Till
) -> None:
    order = placed_order(shelf[0])
    till.settle(order)
    payment = Payment.objects.get()
    Payment.objects.update(charged_minor=payment.amount_minor + 300)
    refund = Refund.objects.create(
        payment=payment,
        status=RefundStatus.PREPARED,
        amount_minor=300,
        reason="Charged too much",
        created_at=timezone.now(),
    )
    approve_refund(refund, approved_by=User.objects.create(), why="Seen", now=timezone.now())
    till.deliver_messages()
    refund.refresh_from_db()

    assert refund.status == RefundStatus.SUCCEEDED
    assert numbers() == [number(1)]


def test_an_order_paid_before_there_was_a_seller_has_no_credit_note(
    shelf: list[Product], till: Till, settings: Settings
) -> None:
    settings.SELLER = None
    order = placed_order(shelf[0])
    till.settle(order)
    settings.SELLER = SELLER
    send_back(order, 100, till)

    assert not Invoice.objects.exists()
    assert not InvoiceCounter.objects.exists()


def test_a_repeated_credit_note_takes_no_number(paid: Order, till: Till) -> None:
    send_back(paid, 100, till)
    event = paid.events.last()
    assert event is not None
    with transaction.atomic():
        issue_credit_note(event, now=timezone.now())

    assert last_of("CN") == 1


def test_the_year_of_a_number_begins_by_the_clock_of_the_shop(
    shelf: list[Product], settings: Settings
) -> None:
    settings.SHOP_TIME_ZONE = "Europe/Berlin"
    before, after = placed_order(shelf[0]), placed_order(shelf[0])
    Order.objects.update(status="paid")
    for order in (before, after):
        order.events.update(to_status="paid")
    new_year = datetime(2030, 12, 31, 23, 0, tzinfo=UTC)  # midnight in Berlin
    with transaction.atomic():
        issue_invoice(before, now=new_year - timedelta(seconds=1))
        issue_invoice(after, now=new_year)

    assert numbers() == ["INV-2030-000001", "INV-2031-000001"]
    assert Invoice.objects.get(order=after).content["issued_on"] == "2031-01-01"


def test_a_sequence_of_more_than_six_digits_is_not_cut(paid: Order, till: Till) -> None:
    InvoiceCounter.objects.update(last=999_999)
    till.settle(placed_order(Product.objects.all()[0]))

    assert numbers()[-1] == f"INV-{this_year()}-1000000"


def test_what_was_invoiced_is_never_changed(paid: Order) -> None:
    for change in (
        lambda: Invoice.objects.update(total_minor=1),
        lambda: Invoice.objects.all().delete(),
    ):
        with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
            change()

    assert numbers() == [number(1)]


def test_prune_deletes_whole_years_that_no_law_asks_for(shelf: list[Product]) -> None:
    orders = [placed_order(shelf[0]) for _ in range(4)]
    Order.objects.update(status="paid")
    for order, years in zip(orders, (12, 12, 10, 0), strict=True):
        order.events.update(to_status="paid")
        with transaction.atomic():
            issue_invoice(order, now=datetime(this_year() - years, 12, 31, tzinfo=UTC))
    in_order = Invoice.objects.order_by("year", "sequence")

    call_command("prune")

    assert [each.year for each in in_order] == [this_year() - 10, this_year()]
    assert InvoiceCounter.objects.count() == 3


def test_the_end_of_invoices_is_found_by_an_index(shelf: list[Product]) -> None:
    ended = ENDS["orders.Invoice"].ended
    assert ended is not None
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        plan = ended(timezone.now()).explain()
        cursor.execute("SET enable_seqscan = on")

    assert "orders_invoice_sequence_uniq" in plan


def test_order_that_was_paid_without_an_invoice_gets_its_own_once(
    paid: Order, shelf: list[Product], till: Till, settings: Settings
) -> None:
    seller, settings.SELLER = settings.SELLER, None  # as a worker of the release before
    missed = placed_order(shelf[2])
    till.settle(missed)
    request_refund(
        Payment.objects.get(order=missed),
        amount_minor=missed.total_minor,
        reason="Late",
        requested_by=None,
        now=timezone.now(),
    )
    till.deliver_messages()
    settings.SELLER = seller

    for _ in range(2):
        call_command("issue_invoices")

    invoice, note = Invoice.objects.filter(order=missed).order_by("id")
    assert (invoice.number, invoice.total_minor) == (number(2), missed.total_minor)
    assert (note.kind, note.total_minor) == (Invoice.Kind.CREDIT_NOTE, missed.total_minor)
    assert Invoice.objects.filter(kind=Invoice.Kind.INVOICE).count() == 2
