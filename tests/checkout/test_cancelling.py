"""A customer cancels on the order's page: once, as the page said, or not at all."""

from collections.abc import Callable
from functools import partial

import pytest
from django.core import mail
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product, StockMovement
from checkout.orders.dispatch.ship import CannotShip, ship
from checkout.orders.models import Mail, Order, OutboxMessage
from checkout.orders.states import DispatchStatus, OrderStatus
from checkout.orders.transitions import transition
from payments.models import Payment, Refund
from payments.refunds import request_refund
from tests.checkout.test_at_once import at_once, same_browser
from tests.support.factories import placed_order
from tests.support.long import at_length
from tests.support.mailer import send_mails
from tests.support.shopper import Answer, Shopper, read_form
from tests.support.till import Till

DECLINED = "pm_card_chargeDeclined"
STOCK = 100_000


def page_of(order: Order) -> str:
    return f"/orders/{order.reference}/"


def cancel_url(order: Order) -> str:
    return f"{page_of(order)}cancel/"


def form_of(shopper: Shopper, order: Order) -> dict[str, str]:
    return read_form(shopper.web.get(cancel_url(order)).text, cancel_url(order))


def move(order: Order, to: OrderStatus) -> None:
    transition(order.pk, to, reason="For the test", now=timezone.now())
    order.refresh_from_db()


def stock(product: Product) -> int:
    product.refresh_from_db()
    return product.stock


@pytest.fixture
def paid(shopper: Shopper, till: Till) -> Order:
    shopper.buy("SKU-01", 2)
    order = Order.objects.get()
    till.settle(order)
    order.refresh_from_db()
    return order


def assert_cancelled_once(order: Order, shelf: list[Product]) -> None:
    order.refresh_from_db()
    assert (order.dispatch_status, order.cancelled_by) == ("called_off", "customer")
    assert order.mails.filter(kind=Mail.Kind.CALLED_OFF).count() == 1
    assert order.outbox_messages.filter(kind=OutboxMessage.Kind.CANCEL_ORDER).count() == 1
    assert order.events.filter(reason__endswith="after it was paid").count() == 1
    assert stock(shelf[0]) == STOCK
    moved = StockMovement.objects.filter(order=order).exclude(kind="placed")
    assert [each.change for each in moved] == [2]


def test_paid_order_is_cancelled_and_its_money_goes_back_once(
    shopper: Shopper, shelf: list[Product], paid: Order, till: Till
) -> None:
    assert f'href="{cancel_url(paid)}"' in shopper.web.get(page_of(paid)).text
    shown = shopper.web.get(cancel_url(paid))
    assert "€20.02 goes back to the account or card that you paid with" in shown.words
    paid.refresh_from_db()
    assert paid.cancelled_by == ""  # the page itself changes nothing
    form = read_form(shown.text, cancel_url(paid))

    answers = [shopper.web.post(cancel_url(paid), form) for _ in range(2)]
    till.deliver_messages()
    answers.append(shopper.web.post(cancel_url(paid), form))

    assert {(each.status, each.location) for each in answers} == {(303, page_of(paid))}
    assert_cancelled_once(paid, shelf)
    assert [each.amount_minor for each in Refund.objects.all()] == [2002]
    assert paid.status == OrderStatus.REFUNDED
    words = shopper.web.get(page_of(paid)).words
    assert "This order was cancelled" in words
    assert "It was cancelled at your request. You were charged once, €20.02." in words
    assert "All of it was sent back to you." in words
    assert "Next: your bank shows the refund" in words
    opened_again = shopper.web.get(cancel_url(paid))
    assert (opened_again.status, opened_again.location) == (302, page_of(paid))
    send_mails()
    subjects = [each.subject for each in mail.outbox]
    assert subjects.count(f"Your order {paid.number} was cancelled") == 1


@pytest.mark.parametrize("n", [*range(2), *at_length(2, 3)])
def test_two_presses_at_once_are_one_cancelling(
    shopper: Shopper, shelf: list[Product], paid: Order, n: int
) -> None:
    form = form_of(shopper, paid)
    browsers = [same_browser(shopper) for _ in range(4)]

    answers = at_once([partial(each.post, cancel_url(paid), form) for each in browsers])

    assert {(each.status, each.location) for each in answers} == {(303, page_of(paid))}
    assert_cancelled_once(paid, shelf)


@pytest.mark.parametrize("n", [*range(3), *at_length(3, 4, 5)])
def test_of_cancelling_and_sending_at_once_one_wins_and_the_other_is_told(
    shopper: Shopper, shelf: list[Product], paid: Order, n: int
) -> None:
    form = form_of(shopper, paid)
    browser = same_browser(shopper)

    def send() -> Answer:
        try:
            ship(paid, None, key="clerk-1", by="clerk", now=timezone.now())
        except CannotShip as error:
            return Answer(409, "", error.code)
        return Answer(201, "", "")

    acts: list[Callable[[], Answer]] = [partial(browser.post, cancel_url(paid), form), send]
    cancelled, sent = at_once(acts if n % 2 else acts[::-1])[:: 1 if n % 2 else -1]

    paid.refresh_from_db()
    [line] = paid.lines.all()
    if cancelled.status == 303:
        assert (sent.status, sent.text) == (409, "sent")
        assert (line.shipped, line.called_off) == (0, 2)
        assert_cancelled_once(paid, shelf)
    else:
        assert (cancelled.status, sent.status) == (409, 201)
        assert (line.shipped, line.called_off) == (2, 0)
        assert "nothing was cancelled and nothing else was changed" in cancelled.words
        assert "It has been sent, or a part of it" in cancelled.words
        assert stock(shelf[0]) == STOCK - 2
        assert paid.cancelled_by == ""
        assert not paid.mails.filter(kind=Mail.Kind.CALLED_OFF).exists()


def test_press_that_comes_after_a_parcel_was_sent_changes_nothing(
    shopper: Shopper, shelf: list[Product], paid: Order
) -> None:
    form = form_of(shopper, paid)
    ship(paid, {paid.lines.get().pk: 1}, key="clerk-1", by="clerk", now=timezone.now())

    answer = shopper.web.post(cancel_url(paid), form)

    assert answer.status == 409
    assert "It has been sent, or a part of it, so it can no longer be cancelled." in answer.words
    assert read_form(answer.text, cancel_url(paid)) == {}
    assert "Cancel this order" not in shopper.web.get(page_of(paid)).words
    assert stock(shelf[0]) == STOCK - 2


def test_unpaid_order_is_cancelled_at_the_gateway_first(
    shopper: Shopper, shelf: list[Product], till: Till
) -> None:
    shopper.typed["payment_method"] = DECLINED
    shopper.buy("SKU-01", 2)
    order = Order.objects.get()
    till.settle(order)
    form = form_of(shopper, order)

    answers = [shopper.web.post(cancel_url(order), form) for _ in range(2)]

    assert {(each.status, each.location) for each in answers} == {(303, page_of(order))}
    waiting = shopper.web.get(page_of(order))
    assert "Your order is being cancelled" in waiting.words
    assert 'data-final="false"' in waiting.text
    assert "Cancel this order" not in waiting.words
    assert read_form(waiting.text, f"{page_of(order)}pay/") == {}
    till.deliver_messages()
    words = shopper.web.get(page_of(order)).words
    assert "It was cancelled at your request. You have not been charged for it." in words
    assert stock(shelf[0]) == STOCK
    assert shopper.web.post(cancel_url(order), form).location == page_of(order)
    assert till.charges() == []


def test_order_that_was_paid_meanwhile_is_shown_anew_with_what_goes_back(
    shopper: Shopper, shelf: list[Product], till: Till
) -> None:
    shopper.typed["payment_method"] = DECLINED
    shopper.buy("SKU-01", 2)
    order = Order.objects.get()
    till.settle(order)
    form = form_of(shopper, order)
    shopper.pay_again(page_of(order), "pm_card_visa")

    assert shopper.web.post(cancel_url(order), form).status == 409  # it is being paid
    till.settle(order)
    answer = shopper.web.post(cancel_url(order), form)

    assert answer.status == 409
    assert "€20.02 goes back" in answer.words
    order.refresh_from_db()
    assert order.cancelled_by == ""
    again = read_form(answer.text, cancel_url(order))
    assert shopper.web.post(cancel_url(order), again).status == 303
    assert_cancelled_once(order, shelf)


def test_press_while_the_payment_is_under_way_says_when_it_can_be_cancelled(
    shopper: Shopper,
) -> None:
    shopper.buy("SKU-01")
    order = Order.objects.get()

    page = shopper.web.get(cancel_url(order))

    assert page.status == 200
    assert "As soon as your bank has answered, you can cancel the order." in page.words
    assert read_form(page.text, cancel_url(order)) == {}
    assert "Cancel this order" not in shopper.web.get(page_of(order)).words


@pytest.mark.parametrize(
    "change",
    [
        {"is_held": True},
        {"dispatch_status": DispatchStatus.NOT_RECORDED},
        {"dispatch_status": DispatchStatus.NOTHING_TO_SEND},
        {"status": OrderStatus.REFUNDED},
    ],
)
def test_what_cannot_be_cancelled_offers_nothing_and_changes_nothing(
    shopper: Shopper, paid: Order, change: dict[str, object]
) -> None:
    form = form_of(shopper, paid)
    Order.objects.update(**change)

    answer = shopper.web.post(cancel_url(paid), form)

    assert answer.status == 409
    assert shopper.web.get(cancel_url(paid)).status == 200
    assert "dispute" not in answer.words
    assert "Cancel this order" not in shopper.web.get(page_of(paid)).words
    paid.refresh_from_db()
    assert paid.cancelled_by == ""
    assert not paid.lines.filter(called_off__gt=0).exists()


def test_shop_may_keep_what_is_paid_to_itself(
    shopper: Shopper, paid: Order, settings: Settings
) -> None:
    form = form_of(shopper, paid)
    settings.CUSTOMERS_CANCEL_PAID = False

    answer = shopper.web.post(cancel_url(paid), form)

    assert answer.status == 409
    assert "Please write to the shop" in answer.words
    assert "Cancel this order" not in shopper.web.get(page_of(paid)).words
    paid.refresh_from_db()
    assert paid.dispatch_status == DispatchStatus.UNSENT


def test_press_without_the_token_of_the_page_is_refused(shopper: Shopper, paid: Order) -> None:
    assert shopper.web.post(cancel_url(paid), {"way": "paid"}).status == 403

    paid.refresh_from_db()
    assert paid.cancelled_by == ""


def test_after_a_part_was_refunded_the_page_says_what_is_left(
    shopper: Shopper, paid: Order, till: Till
) -> None:
    request_refund(
        Payment.objects.get(), amount_minor=502, reason="", requested_by=None, now=timezone.now()
    )
    till.deliver_messages()

    assert "€15.00 goes back" in shopper.web.get(cancel_url(paid)).words
    shopper.web.post(cancel_url(paid), form_of(shopper, paid))
    till.deliver_messages()

    assert sorted(each.amount_minor for each in Refund.objects.all()) == [502, 1500]


def test_link_opens_the_page_and_a_stranger_sees_none(
    shopper: Shopper, shelf: list[Product]
) -> None:
    order = placed_order(shelf[0])
    move(order, OrderStatus.PAID)
    assert shopper.web.get(cancel_url(order)).status == 404

    shopper.open_link(order)

    assert shopper.web.get(cancel_url(order)).status == 200


def test_wish_that_a_payment_was_faster_than_is_no_wish_any_more(
    shopper: Shopper, till: Till
) -> None:
    """Otherwise an order that the shop refunds later would read as cancelled by its customer."""
    shopper.typed["payment_method"] = DECLINED
    shopper.buy("SKU-01", 2)
    order = Order.objects.get()
    till.settle(order)
    shopper.web.post(cancel_url(order), form_of(shopper, order))

    move(order, OrderStatus.PAID)

    assert order.cancelled_by == ""
    Order.objects.update(dispatch_status=DispatchStatus.CALLED_OFF)
    assert "at your request" not in shopper.web.get(page_of(order)).words


def test_refund_that_comes_back_leaves_a_cancelled_order_cancelled(
    shopper: Shopper, paid: Order, till: Till
) -> None:
    shopper.web.post(cancel_url(paid), form_of(shopper, paid))
    till.deliver_messages()
    till.return_refund(Refund.objects.get())
    move(paid, OrderStatus.PAID)  # as the worker does that hears of it

    assert paid.cancelled_by == "customer"
    assert "It was cancelled at your request." in shopper.web.get(page_of(paid)).words
