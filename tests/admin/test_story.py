"""In a minute, and three clicks: from an e-mail address to what happened to an order."""

import io
import json
import re
from html import unescape

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OrderEvent
from payments.admin.order_story import AT_MOST, story
from payments.models import Payment
from tests.admin.conftest import order_page
from tests.support.eventful_order import eventful_order
from tests.support.factories import CUSTOMER, placed_order
from tests.support.shopper import Shopper
from tests.support.till import Till

LIST = "/admin/orders/order/"


@pytest.fixture
def eventful(shopper: Shopper, till: Till) -> Order:
    return eventful_order(shopper, till)


def told(page: str) -> list[str]:
    """The rows of the story, without their markup."""
    table = page.partition('<table class="story">')[2].partition("</table>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)[1:]
    return [unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row))).strip() for row in rows]


def in_this_order(rows: list[str], *parts: str) -> bool:
    rest = iter(rows)
    return all(any(part in row for row in rest) for part in parts)


def test_from_an_address_to_the_story_in_two_clicks(support: Client, eventful: Order) -> None:
    found = support.get(LIST, {"q": CUSTOMER.email}).content.decode()
    link = re.search(r'href="(/admin/orders/order/\d+/change/[^"]*)"', found)
    assert link

    rows = told(support.get(unescape(link[1])).content.decode())

    assert in_this_order(
        rows,
        "Placed, payment under way: Order placed",
        "Sent again",
        "Published: Settle the payment",
        "Received by a worker: payment 1 of €10.01",
        "Confirm: declined",
        "Payment declined",
        "Placed, payment under way",
        "Received by a worker: payment 2",
        "Confirm: paid",
        "Paid: Payment succeeded",
        "Refund of €3.00",
        "€3.00 was sent back",
        "Partly refunded",
    )
    assert sum("mail Sent: " in row for row in rows) == 4  # received, declined, receipt, refund
    assert all(" ms" in row for row in rows if "gateway Confirm" in row)


def test_list_tells_state_age_total_and_what_was_absorbed(support: Client, eventful: Order) -> None:
    page = re.sub(r"<[^>]+>", " ", support.get(LIST).content.decode())

    for shown in (eventful.number, "Partly refunded", "0\xa0minutes", "€10.01", "1 ×"):
        assert shown in unescape(page)


@pytest.mark.parametrize("which", ["gateway_payment_id", "gateway_refund_id"])
def test_order_is_found_by_the_gateways_ids(
    support: Client, eventful: Order, shelf: list[Product], which: str
) -> None:
    other = placed_order(shelf[0])
    payment = Payment.objects.get(status="paid")
    wanted = getattr(payment if which == "gateway_payment_id" else payment.refunds.get(), which)

    page = support.get(LIST, {"q": wanted}).content.decode()

    assert eventful.number in page
    assert other.number not in page


def test_ten_times_the_history_is_told_by_the_same_statements(
    support: Client, eventful: Order
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            order_page(support, eventful)
        return len(captured)

    statements()  # Django learns its content types
    before = statements()
    OrderEvent.objects.bulk_create(
        OrderEvent(
            order=eventful,
            kind=OrderEvent.Kind.RESUBMITTED,
            reason="Sent again",
            created_at=timezone.now(),
        )
        for _ in range(200)
    )

    assert statements() == before


def test_story_of_a_program_that_sends_for_ever_is_cut_and_says_so(
    support: Client, eventful: Order
) -> None:
    known = eventful.events.exclude(kind=OrderEvent.Kind.MAILED).count()
    OrderEvent.objects.bulk_create(
        OrderEvent(
            order=eventful,
            kind=OrderEvent.Kind.RESUBMITTED,
            reason="Sent again",
            created_at=timezone.now(),
        )
        for _ in range(AT_MOST)
    )

    assert story(eventful).left_out == known
    assert f"{known} more of the same" in order_page(support, eventful)


def test_story_on_the_command_line(eventful: Order) -> None:
    table, as_json = io.StringIO(), io.StringIO()
    call_command("order_story", eventful.number.replace("-", ""), stdout=table)
    call_command("order_story", eventful.number, "--json", stdout=as_json)

    lines = table.getvalue().splitlines()
    assert lines[0].startswith(f"Order {eventful.number}: partly refunded since ")
    told = json.loads(as_json.getvalue())
    assert len(told["story"]) == len(lines) - 3
    assert in_this_order(lines, "Order placed", "Confirm: declined", "Confirm: paid", "€3.00")
    for private in (CUSTOMER.email, CUSTOMER.full_name, CUSTOMER.address, eventful.reference):
        assert private not in table.getvalue() + as_json.getvalue()


@pytest.mark.parametrize("number", ["100001-00", "999999-05", "nonsense"])
def test_story_of_no_order_says_so(db: None, number: str) -> None:
    with pytest.raises(CommandError, match="no order"):
        call_command("order_story", number)
