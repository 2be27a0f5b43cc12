"""A piece is sent once, called off once, taken back once and put on sale again once."""

from datetime import datetime, timedelta
from itertools import count

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from checkout.catalogue.models import DeliveryMethod, Product
from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.cancelling import CannotCancel, cancel_free, cancel_paid
from checkout.orders.dispatch.call_off import call_off
from checkout.orders.dispatch.pieces import move_pieces
from checkout.orders.dispatch.returns import ReturnedPieces, take_return
from checkout.orders.dispatch.ship import CannotShip, ship, undo_shipment
from checkout.orders.dispatch.to_send import orders_to_send
from checkout.orders.mail.send import send_next
from checkout.orders.mail.server import configured_mail_server
from checkout.orders.models import Mail, Order, OrderLine, Shipment
from checkout.orders.placing.place import place_order
from checkout.orders.states import Canceller, DispatchStatus, OrderStatus
from checkout.orders.stock.differences import count_differences
from checkout.orders.transitions import transition
from tests.support.at_once import at_once
from tests.support.factories import OpenBasket, line, purchase

KEYS = (f"key-{number}" for number in count())


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    """Two of one product and one of another, paid."""
    basket = OpenBasket([line(shelf[0], 2), line(shelf[1])])
    order = place_order(purchase(), basket, now=timezone.now())
    become(order, OrderStatus.PAID)
    return order


def become(order: Order, status: OrderStatus) -> None:
    assert transition(order.pk, status, reason="Test", now=timezone.now())
    order.refresh_from_db()


def lines(order: Order) -> list[OrderLine]:
    return list(order.lines.order_by("id"))


def send(order: Order, quantities: dict[int, int] | None = None, *, key: str = "") -> Shipment:
    return ship(order, quantities, key=key or next(KEYS), by="clerk", now=timezone.now())


def status_of(order: Order) -> DispatchStatus:
    order.refresh_from_db()
    return DispatchStatus(order.dispatch_status)


def test_form_that_is_pressed_twice_is_one_parcel(order: Order) -> None:
    first, second = send(order, key="same"), send(order, key="same")

    assert first == second
    assert [each.shipped for each in lines(order)] == [2, 1]
    assert Mail.objects.filter(kind=Mail.Kind.SHIPPED).count() == 1
    assert status_of(order) == DispatchStatus.SENT


def test_key_that_comes_again_with_something_else_is_told_so(order: Order) -> None:
    first = lines(order)[0]
    send(order, {first.pk: 1}, key="same")

    with pytest.raises(CannotShip) as refused:
        send(order, {first.pk: 2}, key="same")

    assert refused.value.code == "key_reused"
    assert Shipment.objects.count() == 1


def test_two_clerks_at_once_send_each_piece_once(order: Order) -> None:
    answers = at_once(*[lambda: send(order)] * 8)

    assert len([each for each in answers if isinstance(each, Shipment)]) == 1
    assert {each.code for each in answers if isinstance(each, CannotShip)} == {"sent"}
    assert [each.shipped for each in lines(order)] == [2, 1]


def test_parcels_of_parts_add_up_to_the_order(order: Order) -> None:
    first = lines(order)[0]
    send(order, {first.pk: 1})
    assert status_of(order) == DispatchStatus.PARTLY_SENT
    with pytest.raises(CannotShip) as refused:
        send(order, {first.pk: 2})
    assert refused.value.code == "too_many"

    send(order)

    assert status_of(order) == DispatchStatus.SENT
    assert order not in orders_to_send()


@pytest.mark.parametrize(
    "wrong",
    [
        {"shipped": 3},
        {"shipped": -1},
        {"called_off": 1, "shipped": 2},
        {"returned": 1},
        {"put_back": 1},
        {"refunded": 3},
    ],
    ids=str,
)
def test_database_refuses_numbers_that_cannot_be(order: Order, wrong: dict[str, int]) -> None:
    first = lines(order)[0]

    with pytest.raises(IntegrityError), transaction.atomic():
        move_pieces(order.pk, **{name: {first.pk: pieces} for name, pieces in wrong.items()})


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (OrderStatus.PLACED, "unpaid"),
        (OrderStatus.PAYMENT_FAILED, "unpaid"),
        (OrderStatus.CANCELLED, "cancelled"),
        (OrderStatus.REFUNDED, "refunded"),
    ],
)
def test_what_is_not_paid_for_is_not_sent(order: Order, status: OrderStatus, code: str) -> None:
    Order.objects.update(status=status, sweep_at=timezone.now())

    with pytest.raises(CannotShip) as refused:
        send(order)

    assert refused.value.code == code
    assert not orders_to_send().exists()


def test_nothing_is_sent_while_a_bank_holds_the_money(order: Order) -> None:
    Order.objects.update(is_held=True)

    with pytest.raises(CannotShip) as refused:
        send(order)

    assert refused.value.code == "held"
    assert not orders_to_send().exists()


def test_orders_to_send_are_read_by_their_index(order: Order) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
    plan = orders_to_send().explain()

    assert "orders_order_sendable_idx" in plan
    assert list(orders_to_send()) == [order]


def test_parcel_of_a_mistake_is_taken_back_and_its_mail_with_it(order: Order) -> None:
    parcel = send(order)

    for _ in range(2):  # pressed twice
        undo_shipment(parcel, by="clerk", why="Wrong shelf", now=timezone.now())

    assert [each.shipped for each in lines(order)] == [0, 0]
    assert status_of(order) == DispatchStatus.UNSENT
    assert not Mail.objects.filter(kind__in=[Mail.Kind.SHIPPED, Mail.Kind.SHIPMENT_UNDONE]).exists()


def test_customer_who_was_told_of_a_parcel_is_told_that_it_has_not_left(order: Order) -> None:
    parcel = send(order)
    while send_next(configured_mail_server(), now=timezone.now()):
        pass

    undo_shipment(parcel, by="clerk", why="Wrong shelf", now=timezone.now())

    assert Mail.objects.filter(kind=Mail.Kind.SHIPMENT_UNDONE).count() == 1


def test_parcel_of_yesterday_is_not_taken_back(order: Order) -> None:
    parcel, later = send(order), timezone.now() + timedelta(hours=1, seconds=1)

    with pytest.raises(ActionImpossible, match="more than an hour"):
        undo_shipment(parcel, by="clerk", why="Wrong shelf", now=later)

    assert status_of(order) == DispatchStatus.SENT


def test_tracking_link_is_that_of_the_method_of_the_day(order: Order) -> None:
    method = DeliveryMethod.objects.create(
        name="Parcel", tracking_address="https://parcels.example/?n={number}"
    )
    Order.objects.update(delivery_method=str(method.pk), delivery_name="Parcel")

    parcel = ship(order, None, key="k", by="clerk", now=timezone.now(), tracking_number="JJ 12/3&x")

    assert parcel.tracking_link == "https://parcels.example/?n=JJ%2012%2F3%26x"
    assert parcel.method == "Parcel"


def back(order: Order, pieces: int, restock: int, *, key: str = "") -> object:
    first = lines(order)[0]
    return take_return(
        order,
        {first.pk: ReturnedPieces(pieces, restock)},
        key=key or next(KEYS),
        by="clerk",
        why="Too small",
        now=timezone.now(),
    )


def test_return_is_taken_in_once_however_often_it_is_pressed(order: Order) -> None:
    send(order)
    stock = Product.objects.get(pk=lines(order)[0].product_id).stock

    assert back(order, 2, 1, key="same") == back(order, 2, 1, key="same")

    first = lines(order)[0]
    assert (first.returned, first.put_back) == (2, 1)
    assert Product.objects.get(pk=first.product_id).stock == stock + 1
    assert Mail.objects.filter(kind=Mail.Kind.RETURNED).count() == 1
    assert not count_differences()


def test_no_more_comes_back_than_was_sent_by_however_many_at_once(order: Order) -> None:
    send(order)

    answers = at_once(*[lambda: back(order, 1, 1)] * 6)

    assert len([each for each in answers if not isinstance(each, ActionImpossible)]) == 2
    assert (lines(order)[0].returned, lines(order)[0].put_back) == (2, 2)
    assert not count_differences()


def test_order_of_which_all_came_back_is_returned(order: Order) -> None:
    send(order)
    second = lines(order)[1]
    back(order, 2, 0)
    take_return(
        order,
        {second.pk: ReturnedPieces(1, 1)},
        key="k",
        by="clerk",
        why="",
        now=timezone.now(),
    )

    assert status_of(order) == DispatchStatus.RETURNED


def test_what_was_sent_by_a_release_that_did_not_say_so_may_come_back(order: Order) -> None:
    Order.objects.update(dispatch_status=DispatchStatus.NOT_RECORDED)
    order.refresh_from_db()

    back(order, 1, 1)

    assert (lines(order)[0].shipped, lines(order)[0].returned) == (1, 1)
    assert status_of(order) == DispatchStatus.NOT_RECORDED
    with pytest.raises(ActionImpossible):
        back(order, 2, 0)


def cancel(order: Order) -> bool:
    return cancel_paid(order, Canceller.STAFF, by="ada", why="Sold out", now=timezone.now())


def stock_of(order: Order) -> list[int]:
    return [Product.objects.get(pk=each.product_id).stock for each in lines(order)]


def test_paid_order_is_cancelled_once_with_its_goods(order: Order) -> None:
    before = stock_of(order)

    assert sum(bool(each) for each in at_once(*[lambda: cancel(order)] * 6)) == 1

    assert stock_of(order) == [before[0] + 2, before[1] + 1]
    assert status_of(order) == DispatchStatus.CALLED_OFF
    assert Mail.objects.filter(kind=Mail.Kind.CALLED_OFF).count() == 1
    assert order.outbox_messages.filter(kind="cancel_order").count() == 1
    assert not count_differences()


def test_parcel_and_cancelling_at_once_are_one_of_the_two(order: Order) -> None:
    answers = at_once(lambda: send(order), lambda: cancel(order))

    shipped, called_off = lines(order)[0].shipped, lines(order)[0].called_off
    assert (shipped, called_off) in [(2, 0), (0, 2)]
    assert sum(isinstance(each, ActionImpossible) for each in answers) == 1


def test_what_was_sent_is_not_cancelled(order: Order) -> None:
    send(order)

    with pytest.raises(CannotCancel) as refused:
        cancel(order)

    assert refused.value.code == "sent"


def test_order_that_cost_nothing_is_not_cancelled_after_it_was_sent(order: Order) -> None:
    Order.objects.update(total_minor=0, goods_minor=0, delivery_minor=0, discount_minor=0)
    order.refresh_from_db()
    send(order)

    assert not cancel_free(order, reason="By hand", now=timezone.now())


def called_off_now(order: Order, now: datetime) -> dict[int, int]:
    with transaction.atomic():
        current = Order.objects.select_for_update().get(pk=order.pk)
        return call_off(current, restock=False, by="", why="Refunded", key="k")


def test_rest_that_is_called_off_leaves_the_order_sent(order: Order) -> None:
    send(order, {lines(order)[0].pk: 1})

    called_off_now(order, timezone.now())

    assert status_of(order) == DispatchStatus.SENT
    assert [each.called_off for each in lines(order)] == [1, 1]


def test_voucher_alone_is_nothing_to_send(shelf: list[Product]) -> None:
    Product.objects.filter(pk=shelf[0].pk).update(is_delivered=False)
    shelf[0].refresh_from_db()

    order = place_order(purchase(), OpenBasket([line(shelf[0])]), now=timezone.now())

    become(order, OrderStatus.PAID)
    assert order.dispatch_status == DispatchStatus.NOTHING_TO_SEND
    assert not orders_to_send().exists()
