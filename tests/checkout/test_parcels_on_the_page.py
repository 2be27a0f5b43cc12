"""The order's page, its list in the account and its timeline tell how far an order is sent."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.catalogue.models import DeliveryMethod, Product
from checkout.orders.cancelling import cancel_paid
from checkout.orders.dispatch.call_off import call_off
from checkout.orders.dispatch.returns import ReturnedPieces, take_return
from checkout.orders.dispatch.ship import ship, undo_shipment
from checkout.orders.models import Order, OrderLine, Shipment
from checkout.orders.placing.place import place_order
from checkout.orders.states import Canceller, DispatchStatus, OrderStatus
from checkout.orders.transitions import transition
from checkout.views.order.parcels import parcels_of
from checkout.views.order.timeline import timeline
from tests.support.factories import OpenBasket, line, purchase
from tests.support.shopper import InProcess, Shopper, read_form


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    """Three of one thing and one of another, paid."""
    basket = OpenBasket([line(shelf[0], 3), line(shelf[1])])
    order = place_order(purchase(), basket, now=timezone.now())
    transition(order.pk, OrderStatus.PAID, reason="For the test", now=timezone.now())
    order.refresh_from_db()
    return order


def send(order: Order, key: str, *pieces: int, number: str = "") -> Shipment:
    """So many pieces of each line; all that is left without any number."""
    lines = order.lines.values_list("pk", flat=True)
    quantities = dict(zip(lines, pieces, strict=False)) if pieces else None
    return ship(order, quantities, key=key, tracking_number=number, by="clerk", now=timezone.now())


def take_back(order: Order, *pieces: int) -> None:
    lines = order.lines.values_list("pk", flat=True)
    back = {pk: ReturnedPieces(count) for pk, count in zip(lines, pieces, strict=False)}
    take_return(order, back, key=f"{order.pk} {pieces}", by="clerk", why="Came", now=timezone.now())


def told(order: Order) -> list[str]:
    order.refresh_from_db()
    return [step.words for step in timeline(order)]


def test_unsent_order_says_what_comes_next(shopper: Shopper, order: Order) -> None:
    page = shopper.open_link(order)

    assert "Thank you, your order is paid" in page.words
    assert "We are getting your order ready." in page.words
    assert "Next: we send it to the address on this page" in page.words
    assert "Parcels" not in page.words
    assert "wrap" not in page.text


def test_parcels_are_shown_with_their_lines_and_their_link(
    shopper: Shopper, order: Order, shelf: list[Product]
) -> None:
    method = DeliveryMethod.objects.create(
        name="Post", tracking_address="https://carrier.example/?id={number}"
    )
    Order.objects.update(delivery_method=str(method.pk), delivery_name="Post")
    order.refresh_from_db()
    send(order, "a", 2, number="RR 1/2&3")

    page = shopper.open_link(order)

    assert "Part of your order was sent" in page.words
    assert "Next: the parcel arrives, and we send you the rest." in page.words
    assert 'href="https://carrier.example/?id=RR%201%2F2%263"' in page.text
    assert "RR 1/2&3" in page.words
    assert f"2 × {shelf[0].name}" in page.words
    assert "2 of 3 sent, 1 still to be sent" in page.words
    assert f"1 × {shelf[1].name} still to be sent" in page.words
    assert "(Post)" in page.words

    send(order, "b")

    words = shopper.open_link(order).words
    assert "Your order was sent" in words
    assert "Next: the parcel arrives, unless you have it already." in words
    assert words.count("Sent on") == 2
    assert "still to be sent" not in words
    status = shopper.web.get(f"/orders/{order.reference}/status/").words
    assert status.count("Sent on") == 2


def test_link_that_is_no_web_address_is_not_made(shopper: Shopper, order: Order) -> None:
    send(order, "a", number="X1")
    Shipment.objects.update(tracking_link="javascript:alert(1)")

    page = shopper.open_link(order)

    assert "X1" in page.words
    assert "javascript:" not in page.text


def test_parcel_that_was_taken_back_is_told_and_not_shown(shopper: Shopper, order: Order) -> None:
    shipment = send(order, "a")
    undo_shipment(shipment, by="clerk", why="Wrong shelf", now=timezone.now())

    page = shopper.open_link(order)

    assert "Thank you, your order is paid" in page.words
    assert parcels_of(order) == []
    assert told(order)[-2:] == [
        "We sent you a parcel.",
        "We had marked a parcel as sent by mistake: it has not left yet.",
    ]
    assert "Wrong shelf" not in page.text


def test_return_is_told(shopper: Shopper, order: Order) -> None:
    send(order, "a")
    take_back(order, 1)
    words = shopper.open_link(order).words
    assert "Your order was sent" in words
    assert "sent, 1 of 3 came back" in words

    take_back(order, 2, 1)

    words = shopper.open_link(order).words
    assert "Your return has arrived" in words
    assert "Next: we look at what came back." in words
    assert told(order).count("What you sent back arrived with us.") == 2


@pytest.mark.parametrize("who", [Canceller.CUSTOMER, Canceller.STAFF])
def test_order_that_was_cancelled_after_it_was_paid_is_told_as_that(
    shopper: Shopper, order: Order, who: Canceller
) -> None:
    by = "ann" if who is Canceller.STAFF else ""
    cancel_paid(order, who, by=by, why="Her wish 77", now=timezone.now())

    page = shopper.open_link(order)

    assert "This order was cancelled" in page.words
    assert ("at your request" in page.words) is (who is Canceller.CUSTOMER)
    assert "Next: we send your money back. You need not do anything." in page.words
    assert "status-cancelled" in page.text
    assert 'data-final="false"' in page.text  # the page goes on looking until the money is back
    assert "getting your order ready" not in page.words
    assert "Her wish 77" not in page.text
    expected = {
        Canceller.CUSTOMER: "The order was cancelled at your request.",
        Canceller.STAFF: "The shop cancelled the order.",
    }
    assert told(order)[-1] == expected[who]


def test_pieces_that_were_called_off_are_told(shopper: Shopper, order: Order) -> None:
    first = order.lines.first()
    assert first
    call_off(order, {first.pk: 1}, restock=True, by="ann", why="Gone", key="k")

    assert "1 of 3 not sent, 2 still to be sent" in shopper.open_link(order).words


def test_nothing_is_told_of_a_bank_that_holds_the_money(shopper: Shopper, order: Order) -> None:
    before = shopper.open_link(order).words
    assert "Cancel this order" in before
    Order.objects.update(is_held=True)

    held = shopper.open_link(order).words

    assert "We are getting your order ready." in held
    assert held.split() == before.replace("Cancel this order", "").split()


@pytest.mark.parametrize("dispatch", DispatchStatus)
def test_every_state_of_dispatch_has_a_page(
    shopper: Shopper, order: Order, dispatch: DispatchStatus
) -> None:
    Order.objects.update(dispatch_status=dispatch)

    page = shopper.open_link(order)

    assert page.status == 200
    assert "Next: " in page.words
    if dispatch != DispatchStatus.UNSENT:
        assert "We are getting your order ready." not in page.words


def test_cancelled_twice_is_told_with_who_it_was_each_time(order: Order) -> None:
    Order.objects.update(status=OrderStatus.PAYMENT_FAILED)
    now = timezone.now()
    transition(
        order.pk, OrderStatus.CANCELLED, reason="Not paid in time", now=now, cancelled_by="time"
    )
    transition(order.pk, OrderStatus.PAID, reason="Paid after all", now=now)
    cancel_paid(order, Canceller.CUSTOMER, by="", why="", now=now)

    assert [each for each in told(order) if "cancelled" in each] == [
        "The order was not paid in time, so it was cancelled.",
        "The order was cancelled at your request.",
    ]


def test_page_makes_the_same_statements_for_one_parcel_and_for_ten(
    shopper: Shopper, order: Order, shelf: list[Product]
) -> None:
    basket = OpenBasket([line(product, 4) for product in shelf[:10]])
    many = place_order(purchase(), basket, now=timezone.now())
    transition(many.pk, OrderStatus.PAID, reason="For the test", now=timezone.now())
    many.refresh_from_db()
    for number in range(10):
        send(many, f"m{number}", *([0] * number), 2)
        take_back(many, *([0] * number), 1)
    send(order, "a", 1)
    take_back(order, 1)

    for tail in ("", "status/"):
        counts = []
        for each in (order, many):
            shopper.open_link(each)
            with CaptureQueriesContext(connection) as captured:
                assert shopper.web.get(f"/orders/{each.reference}/{tail}").status == 200
            counts.append(len(captured))
        assert counts[0] == counts[1]


def test_account_lists_how_far_each_order_is_sent_by_the_same_statements(
    shopper: Shopper, shelf: list[Product], order: Order
) -> None:
    user = User.objects.create_user("ada")
    assert isinstance(shopper.web, InProcess)
    shopper.web.client.force_login(user)
    Order.objects.update(customer=user)
    with CaptureQueriesContext(connection) as one:
        assert "Thank you, your order is paid · Not sent yet" in shopper.web.get("/account/").words
    for number in range(3):
        basket = OpenBasket([line(shelf[2], 2)])
        each = place_order(purchase(), basket, now=timezone.now())
        transition(each.pk, OrderStatus.PAID, reason="For the test", now=timezone.now())
        each.refresh_from_db()
        if number:
            send(each, f"a{number}", number)
    Order.objects.update(customer=user)

    with CaptureQueriesContext(connection) as four:
        words = shopper.web.get("/account/").words

    assert "Part of your order was sent ·" in words
    assert "Your order was sent ·" in words
    assert len(one) == len(four)


@pytest.mark.parametrize(
    "status", [OrderStatus.PAID, OrderStatus.REFUNDED, OrderStatus.PAYMENT_FAILED]
)
def test_erased_order_shows_numbers_and_lines_and_nothing_of_the_person(
    shopper: Shopper, order: Order, shelf: list[Product], status: OrderStatus
) -> None:
    shopper.open_link(order)
    Order.objects.update(status=status, erased_at=timezone.now(), phone="+353 1 555", vat_id="IE1")

    page = shopper.web.get(f"/orders/{order.reference}/")

    assert page.status == 200
    assert "The personal data of this order was erased." in page.words
    assert order.number in page.words
    assert f"3 × {shelf[0].name}" in page.words
    for gone in ("ada@example.com", "Quillfeather", "Inkwell", "Cork", "+353", "IE1", "Deliver to"):
        assert gone not in page.text
    for path in ("pay", "cancel"):
        assert f"/orders/{order.reference}/{path}/" not in page.text
    token = read_form(shopper.web.get("/orders/find/").text, "/orders/find/")
    for path, typed in [
        ("pay", {"payment_method": "pm_card_visa", "failed_round": "1"}),
        ("cancel", {"way": "paid"}),
        ("cancel", {"way": "unpaid"}),
    ]:
        shopper.web.post(f"/orders/{order.reference}/{path}/", token | typed)
    after = Order.objects.get()
    assert (after.status, after.cancelled_by, after.payment_round) == (status, "", 1)
    assert not OrderLine.objects.filter(called_off__gt=0).exists()
