"""Staff find an invoice by its number or its order's, and the books get all of them as a file."""

import csv
import io

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Invoice, Order
from payments.admin.order_story import story
from payments.models import Payment
from payments.refunds import request_refund
from tests.admin.conftest import order_page, signed_in
from tests.support.factories import placed_order
from tests.support.order_with_parts import order_with_parts, rules_of_ireland
from tests.support.sellers import SELLER
from tests.support.till import Till

LIST = "/admin/orders/invoice/"


@pytest.fixture
def order(shelf: list[Product], till: Till, settings: Settings) -> Order:
    """With an invoice and a credit note, beside another order with an invoice."""
    settings.SELLER = SELLER
    rules_of_ireland()
    order = order_with_parts(shelf)
    till.settle(order)
    request_refund(
        Payment.objects.get(), amount_minor=500, reason="x", requested_by=None, now=timezone.now()
    )
    till.deliver_messages()
    till.settle(placed_order(shelf[4]))
    return order


def numbers_in(page: str) -> set[str]:
    return {number for number in Invoice.objects.values_list("number", flat=True) if number in page}


def test_staff_find_an_invoice_by_its_number_or_that_of_its_order(
    support: Client, order: Order
) -> None:
    own = set(order.invoices.values_list("number", flat=True))
    one = order.invoices.get(kind="invoice").number

    assert len(numbers_in(support.get(LIST).content.decode())) == 3
    assert numbers_in(support.get(LIST, {"q": order.number}).content.decode()) == own
    assert numbers_in(support.get(LIST, {"q": one.lower()}).content.decode()) == {one}
    assert numbers_in(support.get(LIST, {"q": "nothing"}).content.decode()) == set()


def test_the_search_uses_an_index_and_the_list_a_constant_number_of_statements(
    support: Client, order: Order, shelf: list[Product], till: Till
) -> None:
    support.get(LIST)
    with CaptureQueriesContext(connection) as few:
        support.get(LIST)
    for _ in range(5):
        till.settle(placed_order(shelf[0]))
    with CaptureQueriesContext(connection) as more:
        support.get(LIST)

    assert len(more) == len(few)


def test_the_order_page_and_its_story_name_the_invoices(support: Client, order: Order) -> None:
    page = order_page(support, order)
    told = [entry.what for entry in story(order).entries if entry.source == "invoice"]
    invoice, note = order.invoices.order_by("id")

    assert f'<a href="/admin/orders/invoice/{invoice.pk}/change/">{invoice.number}</a>' in page
    assert told == [
        f"Invoice {invoice.number} of €31.94",
        f"Credit note {note.number} of €5.00",
    ]


def test_the_file_has_a_row_for_each_rate_and_adds_up(support: Client, order: Order) -> None:
    answer = support.get(f"{LIST}export/")
    text = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined] # a streaming response
    rows = list(csv.DictReader(io.StringIO(text)))

    assert len(rows) == 1 + 2 + 2  # the other order has one rate, of 0
    number = order.invoices.values_list("number", flat=True)[0]
    [of_23, of_13] = [row for row in rows if row["number"] == number]
    assert (of_23["percent"], of_23["net"], of_23["tax"], of_23["gross"]) == (
        *("23", "18.63", "4.29", "22.92"),
    )
    assert of_13["buyer"] == "Accounts of Quillfeather"
    credited = [row for row in rows if row["kind"] == "credit_note"]
    assert sum(float(row["gross"]) for row in credited) == pytest.approx(5.0)
    assert {row["corrects"] for row in credited} == {of_23["number"]}


def test_without_the_permission_there_is_no_file(order: Order, staff_groups: None) -> None:
    looking = signed_in("look", group="read-only")

    assert looking.get(LIST).status_code == 200
    assert "export" not in looking.get(LIST).content.decode()
    assert looking.get(f"{LIST}export/").status_code == 403
