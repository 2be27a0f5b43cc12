"""Staff correct where a parcel goes, while none was sent."""

import re

import pytest
from django.test import Client

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OrderEvent
from checkout.orders.states import DispatchStatus
from tests.admin.conftest import order_page
from tests.support.factories import placed_order
from tests.support.shopper import read_form

RIGHT = {
    "full_name": "Ada Quillfeather-Byrne",
    "address": "14 Inkwell Lane",
    "address2": "Attic",
    "city": "Dublin",
    "postcode": "d02x285",
    "phone": "+353 21 4270000",
}
WHY = {"why": "She moved"}


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    return placed_order(shelf[0])


def url(order: Order) -> str:
    return f"/admin/orders/order/{order.pk}/correct-address/"


def form_of(client: Client, order: Order) -> dict[str, str]:
    return read_form(client.get(url(order)).content.decode(), "")


def corrections(order: Order) -> list[tuple[str, str, str]]:
    events = order.events.filter(kind=OrderEvent.Kind.STAFF)
    return list(events.values_list("reason", "actor", "explanation"))


def test_address_is_corrected_once_and_written_as_its_country_writes_it(
    support: Client, order: Order
) -> None:
    assert url(order) in order_page(support, order)
    shown = form_of(support, order)
    assert (shown["full_name"], shown["city"]) == ("Ada Quillfeather", "Cork")

    answers = [support.post(url(order), shown | RIGHT | WHY) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 302]
    order.refresh_from_db()
    stored = {name: getattr(order, name) for name in RIGHT}
    assert stored == RIGHT | {"postcode": "D02 X285"}
    assert corrections(order) == [("Address corrected", "support", "She moved")]


def test_event_names_no_address(support: Client, order: Order) -> None:
    support.post(url(order), form_of(support, order) | RIGHT | WHY)

    [reason] = order.events.filter(kind=OrderEvent.Kind.STAFF).values_list("reason", flat=True)
    assert not re.search("Inkwell|Dublin|Cork|Ada", reason)


def test_country_and_region_stay_for_tax_and_delivery_were_worked_out_for_them(
    support: Client, order: Order
) -> None:
    Order.objects.update(country="US", region="WA", postcode="98101")
    shown = form_of(support, order)
    assert not {"country", "region"} & set(shown)

    typed = shown | {"country": "DE", "region": "CA", "city": "Tacoma"} | WHY
    assert support.post(url(order), typed).status_code == 302

    order.refresh_from_db()
    assert (order.country, order.region, order.city) == ("US", "WA", "Tacoma")


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"address": ""}, "address"),
        ({"full_name": " "}, "full_name"),
        ({"city": ""}, "city"),
        ({"phone": "12"}, "phone"),
        ({"address": "4242 4242 4242 4242"}, "address"),
        ({"why": " "}, "why"),
    ],
)
def test_checks_are_those_of_the_checkout(
    support: Client, order: Order, typed: dict[str, str], field: str
) -> None:
    answer = support.post(url(order), form_of(support, order) | WHY | typed)

    assert field in answer.context["form"].errors
    assert corrections(order) == []


def test_of_two_corrections_at_once_the_second_is_told(support: Client, order: Order) -> None:
    first = form_of(support, order) | RIGHT | WHY
    second = first | {"address": "99 Elsewhere"}
    support.post(url(order), first)

    answer = support.post(url(order), second)

    assert "Somebody else corrected the address" in answer.content.decode()
    order.refresh_from_db()
    assert order.address == RIGHT["address"]
    assert len(corrections(order)) == 1


@pytest.mark.parametrize(
    ("status", "is_possible"),
    [
        (DispatchStatus.UNSENT, True),
        (DispatchStatus.NOT_RECORDED, True),
        (DispatchStatus.PARTLY_SENT, False),
        (DispatchStatus.SENT, False),
        (DispatchStatus.RETURNED, False),
        (DispatchStatus.CALLED_OFF, False),
        (DispatchStatus.NOTHING_TO_SEND, False),
    ],
)
def test_only_while_nothing_was_sent(
    support: Client, order: Order, status: DispatchStatus, is_possible: bool
) -> None:
    shown = form_of(support, order)
    Order.objects.update(dispatch_status=status)

    assert (url(order) in order_page(support, order)) is is_possible
    answer = support.post(url(order), shown | RIGHT | WHY)

    assert (answer.status_code == 302) is is_possible
    order.refresh_from_db()
    assert (order.address == RIGHT["address"]) is is_possible


def test_address_of_an_erased_customer_is_not_written_again(support: Client, order: Order) -> None:
    shown = form_of(support, order)
    Order.objects.update(erased_at=order.placed_at)

    answer = support.post(url(order), shown | RIGHT | WHY)

    assert "erased" in answer.content.decode()
    assert corrections(order) == []
