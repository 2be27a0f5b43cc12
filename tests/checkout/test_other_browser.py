"""What a browser is shown that knows nothing of the order: that of a bank's app, or of a mail."""

import pytest
from django.utils import timezone

from checkout.orders.models import Order, OutboxMessage
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from tests.support.factories import placed_order
from tests.support.shopper import Answer, InProcess, Shopper

NOBODY_HAS = "A" * 22

BACK = "redirect_status=succeeded&payment_intent=pi_1"


@pytest.fixture
def order(shelf: object) -> Order:
    from checkout.catalogue.models import Product

    order = placed_order(Product.objects.get(sku="SKU-01"))
    transition(order.pk, OrderStatus.ACTION_REQUIRED, reason="A test", now=timezone.now())
    OutboxMessage.objects.update(published_at=timezone.now())
    order.refresh_from_db()
    return order


def come_back(reference: str, query: str = BACK) -> Answer:
    return Shopper(InProcess()).web.get(f"/orders/{reference}/?{query}")


def test_return_from_the_bank_is_answered_without_telling_anything(order: Order) -> None:
    page = come_back(order.reference)

    assert page.status == 200
    assert "Your bank's answer is on its way" in page.words
    for private in (order.number, order.email, order.full_name, "€10.01", order.reference):
        assert private not in page.text


def test_it_says_the_same_where_there_is_no_such_order(order: Order) -> None:
    real, unreal = come_back(order.reference), come_back(NOBODY_HAS)

    assert (real.status, real.words) == (unreal.status, unreal.words)


def test_gateway_is_asked_at_once_and_not_again_for_each_reload(order: Order) -> None:
    for _ in range(5):
        come_back(order.reference)

    waiting = OutboxMessage.objects.filter(kind=OutboxMessage.Kind.CHECK_PAYMENT)
    assert waiting.count() == 1


def test_browser_that_placed_it_is_led_on_to_its_order(shopper: Shopper) -> None:
    shopper.buy("SKU-01")
    order = Order.objects.get()

    back = shopper.web.get(f"/orders/{order.reference}/?{BACK}")

    assert (back.status, back.location) == (302, f"/orders/{order.reference}/")


def test_order_is_still_hidden_without_the_return(order: Order) -> None:
    page = Shopper(InProcess()).web.get(f"/orders/{order.reference}/")

    assert page.status == 404
    assert "We cannot show you this order" in page.words


def test_search_engines_keep_no_such_page(order: Order) -> None:
    web = InProcess()

    response = web.client.get(f"/orders/{order.reference}/?{BACK}")

    assert response.headers["X-Robots-Tag"] == "noindex"
    assert "no-store" in response.headers["Cache-Control"]


def test_link_in_a_mail_opens_the_order_in_any_browser(order: Order) -> None:
    assert order.number in Shopper(InProcess()).open_link(order).words
