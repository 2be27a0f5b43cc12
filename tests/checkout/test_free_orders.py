"""What costs nothing is paid as it is placed: without the gateway, once, and told as it is."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.cancelling import cancel_free
from checkout.orders.mail.words import compose
from checkout.orders.models import Mail, Order, OutboxMessage, WebhookDelivery, WebhookEndpoint
from checkout.orders.states import OrderStatus
from payments.books import compare
from payments.models import Payment
from payments.settling.result import Result
from tests.doubles.gateway import FaultyGateway
from tests.support.api_caller import PURCHASE, new_caller
from tests.support.audited import violations
from tests.support.factories import placed_order
from tests.support.shopper import Shopper, read_form
from tests.support.till import Till, only


def give_away(sku: str = "SKU-01") -> None:
    Product.objects.filter(sku=sku).update(price_minor=0)


@pytest.fixture
def free(shelf: list[Product]) -> Order:
    give_away()
    return placed_order(Product.objects.get(sku="SKU-01"))


def assert_paid_for_nothing(order: Order) -> None:
    order.refresh_from_db()
    assert (order.status, order.total_minor, order.sweep_at) == (OrderStatus.PAID, 0, None)
    assert list(order.events.filter(kind="transition").values_list("from_status", "to_status")) == [
        ("", "placed"),
        ("placed", "paid"),
    ]
    assert not OutboxMessage.objects.filter(order=order).exists()
    assert not Payment.objects.filter(order=order).exists()


def test_free_cart_asks_for_no_card_and_is_paid_at_once(shopper: Shopper, till: Till) -> None:
    give_away()
    shopper.add_to_cart("SKU-01", 3)
    page = shopper.web.get("/checkout/")
    assert "How would you like to pay?" not in page.words
    form = read_form(page.text, "/checkout/") | shopper.typed
    del form["payment_method"]

    order_page = shopper.look(shopper.submit(form))

    order = Order.objects.get()
    assert_paid_for_nothing(order)
    assert order.payment_method == ""
    assert Product.objects.get(sku="SKU-01").stock == 100_000 - 3
    assert "Nothing was to be paid" in order_page.words
    assert "You were charged" not in order_page.words
    assert "Your payment went through" not in order_page.words
    till.deliver_messages()
    assert till.charges() == []


def test_free_cart_is_one_order_however_often_it_is_sent(shopper: Shopper) -> None:
    give_away()
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()

    answers = {shopper.submit(form).location for _ in range(3)}

    assert len(answers) == Order.objects.count() == 1
    assert Product.objects.get(sku="SKU-01").stock == 100_000 - 1


def test_goods_that_cost_something_beside_free_ones_want_a_card(shopper: Shopper) -> None:
    give_away()
    shopper.add_to_cart("SKU-01")
    shopper.add_to_cart("SKU-02")
    form = shopper.open_checkout()
    del form["payment_method"]

    assert shopper.submit(form).status == 422
    assert not Order.objects.exists()


def test_free_cart_whose_price_rose_is_asked_about_and_wants_a_card(shopper: Shopper) -> None:
    give_away()
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    del form["payment_method"]
    Product.objects.filter(sku="SKU-01").update(price_minor=1001)

    answer = shopper.submit(form)

    assert answer.status == 409
    assert "€10.01" in answer.words
    assert "How would you like to pay?" in answer.words
    assert not Order.objects.exists()


def test_program_places_a_free_order(shelf: list[Product]) -> None:
    give_away()
    caller = new_caller()

    placed = caller.place("key-1", PURCHASE | {"expected_total": "0.00"})

    assert (placed.status, placed.json["charged"]) == (201, False)
    now_is = caller.get(placed.headers["Location"]).json
    assert (now_is["status"], now_is["charged"], now_is["is_final"]) == ("paid", False, True)
    assert_paid_for_nothing(Order.objects.get())
    again = caller.place("key-1", PURCHASE | {"expected_total": "0.00"})
    assert (again.status, again.json) == (201, placed.json)


def test_receipt_says_that_nothing_was_to_be_paid(free: Order, settings: Settings) -> None:
    settings.SHOP_URL = "https://shop.example"

    [receipt] = Mail.objects.all()

    assert receipt.kind == Mail.Kind.PAID
    body = str(compose(receipt).body)
    assert "Nothing was to be paid" in body
    assert "You were charged" not in body
    assert mail.outbox == []


def test_other_systems_are_told_as_of_any_paid_order(shelf: list[Product]) -> None:
    WebhookEndpoint.objects.create(
        url="https://books.example/", kinds=["order.paid"], secret="whsec_c2VjcmV0"
    )
    give_away()

    order = placed_order(Product.objects.get(sku="SKU-01"))

    [delivery] = WebhookDelivery.objects.all()
    assert (delivery.order_id, delivery.kind, delivery.status) == (order.pk, "order.paid", "paid")


def test_books_agree_that_it_is_paid_without_a_payment(free: Order, till: Till) -> None:
    now = timezone.now()

    assert violations(now=now) == []
    since = now - timedelta(days=1)
    assert list(compare.differences(only(till.gateway), since=since, now=now)) == []


@pytest.mark.parametrize(
    ("total_minor", "status"), [(0, "refunded"), (0, "payment_failed"), (1001, "paid")]
)
def test_paid_without_a_payment_is_right_for_a_free_order_alone(
    shelf: list[Product], total_minor: int, status: str
) -> None:
    give_away()
    order = placed_order(Product.objects.get(sku="SKU-01"))
    Order.objects.update(total_minor=total_minor, goods_minor=total_minor, status=status)

    told = violations()

    assert [row for row in told if row.startswith(order.number) and "lines" not in row]


def test_free_order_with_a_charge_is_a_violation(free: Order) -> None:
    Payment.objects.create(
        order=free,
        round=1,
        status="paid",
        amount_minor=0,
        currency="EUR",
        gateway_payment_id="pi_1",
        charged_minor=0,
        created_at=timezone.now(),
    )

    told = violations()

    assert [row for row in told if row.startswith(free.number)]


def test_free_order_of_an_earlier_release_is_paid_without_the_gateway(
    free: Order, till: Till
) -> None:
    Order.objects.update(status="placed", sweep_at=timezone.now())
    Payment.objects.create(
        order=free,
        round=1,
        status="processing",
        amount_minor=0,
        currency="EUR",
        payment_method="pm_card_visa",
        created_at=timezone.now(),
    )
    faulty = FaultyGateway(till.gateway)

    assert Till(till.sandbox_url, faulty).settle(free) is Result.PAID

    free.refresh_from_db()
    assert (free.status, free.sweep_at) == (OrderStatus.PAID, None)
    assert Payment.objects.get().status == "cancelled"
    assert faulty.calls == []


def test_staff_cancel_a_free_order_and_its_goods_are_on_sale_again(free: Order) -> None:
    user = User.objects.create_user("ada", is_staff=True)
    names = ["view_order", "cancel_order"]
    user.user_permissions.add(*Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    assert Product.objects.get(sku="SKU-01").stock == 100_000 - 1

    address = f"/admin/orders/order/{free.pk}/cancel/"
    for _ in range(2):
        client.post(address, {"why": "Ordered by a robot"})

    free.refresh_from_db()
    assert free.status == OrderStatus.CANCELLED
    assert Product.objects.get(sku="SKU-01").stock == 100_000
    assert violations() == []


def test_paid_order_that_cost_something_is_never_cancelled_as_a_free_one(
    shelf: list[Product], till: Till
) -> None:
    order = placed_order(shelf[1])
    till.deliver_messages()
    order.refresh_from_db()

    assert not cancel_free(order, reason="Changed their mind", now=timezone.now())

    order.refresh_from_db()
    assert order.status == OrderStatus.PAID
