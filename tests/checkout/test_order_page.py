"""The order's page: what is going on, were they charged, what to do next."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from payments.models import Payment
from tests.support.factories import placed_order
from tests.support.shopper import Shopper, read_form
from tests.support.till import Till

NO_ORDER = "A" * 22


def page_of(order: Order) -> str:
    return f"/orders/{order.reference}/"


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (OrderStatus.PLACED, "cannot charge you twice"),
        (OrderStatus.ACTION_REQUIRED, "You are charged only if you approve it"),
        (OrderStatus.PAYMENT_FAILED, "You have not been charged"),
        (OrderStatus.PAID, "You were charged once, €10.01"),
        (OrderStatus.CANCELLED, "You have not been charged"),
    ],
)
def test_every_status_says_whether_they_were_charged(
    shopper: Shopper, shelf: list[Product], status: OrderStatus, sentence: str
) -> None:
    order = placed_order(shelf[0])
    if status is not OrderStatus.PLACED:
        transition(order.pk, status, reason="For the test", now=timezone.now())

    page = shopper.open_link(order)

    assert page.status == 200
    assert sentence in page.words
    is_final = status not in {OrderStatus.PLACED, OrderStatus.ACTION_REQUIRED}
    assert ('http-equiv="refresh"' in page.text) is not is_final
    told = shopper.web.get(f"{page_of(order)}status/")
    assert sentence in told.words
    assert f'data-status="{status.value}"' in told.text
    assert f'data-final="{str(is_final).lower()}"' in told.text


def test_declined_order_is_paid_with_another_card(
    shopper: Shopper, shelf: list[Product], till: Till
) -> None:
    shopper.typed["payment_method"] = "pm_card_chargeDeclined"
    placed = shopper.buy("SKU-01")
    order = Order.objects.get()
    till.settle(order)
    assert "was declined" in shopper.look(placed).words

    answer = shopper.pay_again(placed.location, "pm_card_visa")
    till.settle(order)

    assert (answer.status, answer.location) == (303, placed.location)
    assert "You were charged once" in shopper.look(placed).words
    assert len(till.charges()) == 1
    assert Order.objects.count() == 1


def test_paying_again_twice_is_one_round(shopper: Shopper, till: Till) -> None:
    shopper.typed["payment_method"] = "pm_card_chargeDeclined"
    placed = shopper.buy("SKU-01")
    order = Order.objects.get()
    till.settle(order)
    page = shopper.look(placed)
    action = f"{placed.location}pay/"
    form = read_form(page.text, action) | {"payment_method": "pm_card_visa"}

    answers = [shopper.web.post(action, form) for _ in range(3)]
    till.settle_everything_twice()

    assert {(answer.status, answer.location) for answer in answers} == {(303, placed.location)}
    assert Payment.objects.filter(order=order).count() == 2  # the declined one and one more
    assert len(till.charges()) == 1


def test_paying_again_without_a_method_says_so_and_charges_nothing(
    shopper: Shopper, till: Till
) -> None:
    shopper.typed["payment_method"] = "pm_card_chargeDeclined"
    placed = shopper.buy("SKU-01")
    till.settle(Order.objects.get())

    answer = shopper.pay_again(placed.location, "4242 4242 4242 4242")

    assert answer.status == 422
    assert "There was a card number in this field" in answer.words
    assert "4242" not in answer.text  # a card number has no place here, not even in an answer
    assert Order.objects.get().payment_round == 1
    opened_again = shopper.web.get(f"{placed.location}pay/")
    assert (opened_again.status, opened_again.location) == (302, placed.location)


@pytest.mark.parametrize("page", ["", "status/"])
def test_unknown_reference_is_not_found(shopper: Shopper, page: str) -> None:
    assert shopper.web.get(f"/orders/{NO_ORDER}/{page}").status == 404


def test_order_number_grants_no_access(shopper: Shopper, shelf: list[Product]) -> None:
    order = placed_order(shelf[0])

    assert shopper.web.get(f"/orders/{order.number}/").status == 404


def test_page_runs_the_same_statements_for_1_and_20_lines(
    shopper: Shopper, shelf: list[Product]
) -> None:
    counts = []
    for order in (placed_order(shelf[0]), placed_order(*shelf[:20])):
        shopper.open_link(order)
        with CaptureQueriesContext(connection) as captured:
            assert shopper.web.get(page_of(order)).status == 200
        counts.append(len(captured))

    assert counts[0] == counts[1]


def test_page_of_an_order_charged_twice_says_nowhere_that_it_was_charged_once(
    shopper: Shopper, shelf: list[Product]
) -> None:
    order = placed_order(shelf[0])
    transition(order.pk, OrderStatus.PAID, reason="For the test", now=timezone.now())
    for round_ in (1, 2):
        Payment.objects.create(
            order=order,
            round=round_,
            status="paid",
            amount_minor=order.total_minor,
            charged_minor=order.total_minor,
            currency="EUR",
            payment_method="pm_card_visa",
            gateway_payment_id=f"pi_{order.pk}_{round_}",
            is_surplus=round_ == 2,
            created_at=timezone.now(),
        )

    page = shopper.open_link(order)

    assert "You were charged 2 times, €20.02 in all." in page.words
    assert "charged once" not in page.words
    assert "not been charged" not in page.words
