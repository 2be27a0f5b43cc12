"""Staff write something down about an order: once for each page, and never a card number."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OrderEvent
from tests.admin.conftest import order_page
from tests.support.factories import placed_order
from tests.support.shopper import read_form

TEXT = "Her neighbour takes the parcel"


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    return placed_order(shelf[0])


def url(order: Order) -> str:
    return f"/admin/orders/order/{order.pk}/note/"


def form_of(client: Client, order: Order) -> dict[str, str]:
    return read_form(client.get(url(order)).content.decode(), "")


def notes(order: Order) -> list[tuple[str, str, str]]:
    events = order.events.filter(kind=OrderEvent.Kind.STAFF).order_by("pk")
    return list(events.values_list("reason", "actor", "explanation"))


def test_note_is_written_once_for_a_page_and_shown_with_the_order(
    support: Client, order: Order
) -> None:
    assert url(order) in order_page(support, order)
    typed = form_of(support, order) | {"why": TEXT}

    answers = [support.post(url(order), typed) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert notes(order) == [("Note", "support", TEXT)]
    assert TEXT in order_page(support, order)
    # Another page is another note, though it says the same.
    support.post(url(order), form_of(support, order) | {"why": TEXT})
    assert len(notes(order)) == 2


def test_note_pressed_twice_at_once_is_written_once(support: Client, order: Order) -> None:
    typed = form_of(support, order) | {"why": TEXT}

    def press(_: int) -> int:
        try:
            client = Client()
            client.cookies = support.cookies
            return client.post(url(order), typed).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(press, range(4))) == [302] * 4

    assert notes(order) == [("Note", "support", TEXT)]


def test_note_of_somebody_else_meanwhile_keeps_none_back(
    support: Client, operator: Client, order: Order
) -> None:
    first, second = form_of(support, order), form_of(operator, order)

    support.post(url(order), first | {"why": TEXT})
    operator.post(url(order), second | {"why": TEXT})

    assert [actor for _, actor, _ in notes(order)] == ["support", "operator"]


def test_card_number_is_kept_nowhere(support: Client, order: Order) -> None:
    typed = form_of(support, order) | {"why": "Her card is 4242 4242 4242 4242"}

    answer = support.post(url(order), typed)

    assert answer.status_code == 200
    assert "4242 4242" not in answer.content.decode()
    assert notes(order) == []
