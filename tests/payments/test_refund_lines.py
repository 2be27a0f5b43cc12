"""The price of single pieces goes back once, to the cent, and what is refunded is not sent."""

from collections.abc import Sequence
from itertools import count

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.cancelling import CannotCancel, cancel_paid
from checkout.orders.dispatch.pieces import move_pieces
from checkout.orders.dispatch.returns import ReturnedPieces, take_return
from checkout.orders.dispatch.ship import CannotShip, ship, undo_shipment
from checkout.orders.models import Order, OrderLine, Shipment
from checkout.orders.placing.place import place_order
from checkout.orders.states import Canceller, DispatchStatus, OrderStatus
from checkout.orders.stock.differences import count_differences
from payments.gateways.base import RefundRefused
from payments.models import Payment, Refund, RefundLine
from payments.prices import cost_minor
from payments.refund_lines import (
    RefundedPieces,
    delivery_left_minor,
    price_minor,
    refund_lines,
)
from payments.refunds import RefundImpossible, request_refund
from payments.settling.refunds import settle_refunds
from tests.doubles.gateway import FaultyGateway, raising
from tests.support.at_once import at_once, done
from tests.support.audited import violations
from tests.support.factories import OpenBasket, line, purchase
from tests.support.order_with_parts import (
    order_of_the_release_before,
    order_with_parts,
    rules_of_ireland,
)
from tests.support.till import Till, only

KEYS = (f"key-{number}" for number in count())

ONE = RefundedPieces(1)


@pytest.fixture
def order(shelf: list[Product], till: Till) -> Order:
    """Three of €10.01 and one of €10.02, paid."""
    basket = OpenBasket([line(shelf[0], 3), line(shelf[1])])
    return paid(place_order(purchase(), basket, now=timezone.now()), till)


def paid(order: Order, till: Till) -> Order:
    till.settle(order)
    order.refresh_from_db()
    assert order.status == OrderStatus.PAID
    return order


def lines(order: Order) -> list[OrderLine]:
    return list(order.lines.order_by("id"))


def first(order: Order) -> OrderLine:
    return lines(order)[0]


def back(
    order: Order, *pieces: RefundedPieces, delivery_minor: int = 0, key: str = "", shown: int = 0
) -> Refund:
    """Asks for pieces of the order's lines, in their order."""
    wanted = {each.pk: some for each, some in zip(lines(order), pieces, strict=False)}
    return refund_lines(
        Payment.objects.get(order=order),
        wanted,
        delivery_minor=delivery_minor,
        shown_minor=shown or None,
        reason="Torn",
        requested_by=None,
        key=key or next(KEYS),
        now=timezone.now(),
    )


def send(order: Order, *pieces: int) -> Shipment:
    wanted = {each.pk: some for each, some in zip(lines(order), pieces, strict=False)}
    return ship(order, wanted or None, key=next(KEYS), by="clerk", now=timezone.now())


def numbers(order: Order) -> tuple[int, ...]:
    """Of the first line: sent, called off, returned, put back, refunded."""
    one = first(order)
    return (one.shipped, one.called_off, one.returned, one.put_back, one.refunded)


# The amount


@pytest.mark.parametrize("includes_tax", [True, False])
def test_pieces_one_by_one_and_delivery_are_the_total(
    shelf: list[Product], till: Till, settings: Settings, includes_tax: bool
) -> None:
    settings.PRICES_INCLUDE_TAX = includes_tax
    rules_of_ireland()
    order = paid(order_with_parts(shelf), till)

    for each in range(3):
        back(order, *([ONE] if each < 2 else [RefundedPieces(0), ONE]))
    delivery = delivery_left_minor(order)
    back(order, delivery_minor=delivery)
    till.deliver_messages()

    order.refresh_from_db()
    assert (order.status, order.refunded_minor) == (OrderStatus.REFUNDED, order.total_minor)
    assert delivery == (490 if includes_tax else 490 + 113)
    assert delivery_left_minor(order) == 0
    assert violations() == []


@pytest.mark.parametrize(
    ("quantity", "price", "discount", "tax", "prices"),
    [
        (3, 1000, 0, 0, [1000, 1000, 1000]),
        (3, 1000, 500, 0, [833, 833, 834]),
        (3, 0, 0, 0, [0, 0, 0]),
        (3, 1, 2, 0, [0, 0, 1]),
        (2, 999, 1, 380, [1188, 1189]),
        (7, 100, 3, 0, [99] * 6 + [103]),
    ],
)
def test_rest_of_the_cents_goes_with_the_last_piece(
    quantity: int, price: int, discount: int, tax: int, prices: Sequence[int]
) -> None:
    order = Order(currency="EUR", prices_include_tax=False)
    one = OrderLine(
        quantity=quantity, unit_price_minor=price, discount_minor=discount, tax_minor=tax
    )

    for number, amount in enumerate(prices):
        one.refunded = number
        assert price_minor(order, one, 1) == amount
        assert price_minor(order, one, quantity - number) == sum(prices[number:])

    assert sum(prices) == cost_minor(order, one)


def test_never_more_than_is_left_of_the_charge(order: Order) -> None:
    request_refund(
        Payment.objects.get(),
        amount_minor=3500,
        reason="Late",
        requested_by=None,
        now=timezone.now(),
    )

    refund = back(order, ONE)

    assert refund.amount_minor == order.total_minor - 3500
    with pytest.raises(RefundImpossible, match="is left"):
        back(order, ONE)


def test_another_amount_than_was_shown_is_not_sent(order: Order) -> None:
    with pytest.raises(RefundImpossible, match=r"€10\.01"):
        back(order, ONE, shown=1000)

    assert not Refund.objects.exists()
    assert numbers(order) == (0, 0, 0, 0, 0)
    assert back(order, ONE, shown=1001).amount_minor == 1001


def test_order_of_the_release_before_goes_by_its_prices(shelf: list[Product], till: Till) -> None:
    order = paid(order_of_the_release_before(shelf[0]), till)

    assert back(order, ONE).amount_minor == 1001
    assert delivery_left_minor(order) == 0


def test_delivery_goes_back_once(shelf: list[Product], till: Till) -> None:
    rules_of_ireland()
    order = paid(order_with_parts(shelf), till)
    back(order, delivery_minor=300)

    with pytest.raises(RefundImpossible, match="Delivery was sent back before"):
        back(order, delivery_minor=200)

    assert back(order, delivery_minor=190).delivery_minor == 190


# Once


def test_one_key_is_one_refund(order: Order) -> None:
    assert back(order, ONE, key="same") == back(order, ONE, key="same")

    assert first(order).refunded == 1
    assert RefundLine.objects.count() == 1
    with pytest.raises(RefundImpossible, match="something else"):
        back(order, RefundedPieces(2), key="same")


def test_key_pressed_by_many_at_once_is_one_refund(order: Order) -> None:
    answers = at_once(*[lambda: back(order, ONE, key="same")] * 6)

    assert len({each.pk for each in answers if isinstance(each, Refund)}) == 1
    assert len(done(answers)) == 6
    assert (Refund.objects.count(), first(order).refunded) == (1, 1)


def test_many_people_at_once_refund_no_piece_twice(order: Order, till: Till) -> None:
    answers = at_once(*[lambda: back(order, RefundedPieces(1, 1))] * 6)
    till.deliver_messages()

    assert len(done(answers)) == 3
    assert numbers(order) == (0, 3, 0, 3, 3)
    order.refresh_from_db()
    assert order.refunded_minor == 3 * 1001
    assert not count_differences()
    assert violations() == []


def test_database_refuses_a_piece_that_is_refunded_twice(order: Order) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        move_pieces(order.pk, refunded={first(order).pk: 4})


def test_nothing_goes_back_while_a_bank_holds_the_money(order: Order) -> None:
    Payment.objects.get().disputes.create(
        gateway_dispute_id="dp_1",
        status="needs_response",
        amount_minor=1,
        currency="EUR",
        opened_at=timezone.now(),
    )

    with pytest.raises(RefundImpossible, match="disputes"):
        back(order, ONE)

    assert numbers(order) == (0, 0, 0, 0, 0)


# Which pieces


def test_what_is_refunded_before_it_was_sent_is_never_sent(order: Order) -> None:
    back(order, RefundedPieces(2))

    assert numbers(order) == (0, 2, 0, 0, 2)
    with pytest.raises(CannotShip):
        send(order, 2)
    send(order)
    assert numbers(order) == (1, 2, 0, 0, 2)
    assert violations() == []


def test_pieces_are_taken_in_the_order_gone_unsent_kept(order: Order) -> None:
    send(order, 2)
    take_return(
        order,
        {first(order).pk: ReturnedPieces(1)},
        key="r",
        by="clerk",
        why="",
        now=timezone.now(),
    )

    back(order, ONE)
    assert numbers(order) == (2, 0, 1, 0, 1)  # the one that came back
    back(order, ONE)
    assert numbers(order) == (2, 1, 1, 0, 2)  # the one that was not sent
    back(order, ONE)
    assert numbers(order) == (2, 1, 1, 0, 3)  # the one that the customer keeps
    with pytest.raises(RefundImpossible, match="0 pieces is left"):
        back(order, ONE)
    assert violations() == []


@pytest.mark.parametrize("dispatch", [DispatchStatus.UNSENT, DispatchStatus.NOT_RECORDED])
def test_what_the_customer_has_is_not_put_back_on_sale(
    order: Order, dispatch: DispatchStatus
) -> None:
    if dispatch:
        send(order)
    Order.objects.filter(dispatch_status=DispatchStatus.UNSENT).update(dispatch_status=dispatch)
    before = numbers(order)

    with pytest.raises(RefundImpossible, match="take the return in first"):
        back(order, RefundedPieces(1, 1))

    assert numbers(order) == before
    assert not Refund.objects.exists()


def test_what_is_called_off_or_came_back_is_put_back_once(
    order: Order, shelf: list[Product]
) -> None:
    back(order, RefundedPieces(1, 1))
    send(order, 2)
    take_return(
        order,
        {first(order).pk: ReturnedPieces(2, 1)},
        key="r",
        by="clerk",
        why="",
        now=timezone.now(),
    )
    shelf[0].refresh_from_db()
    assert shelf[0].stock == 100_000 - 3 + 2

    with pytest.raises(RefundImpossible, match="1 of these pieces can be put back"):
        back(order, RefundedPieces(2, 2))
    back(order, RefundedPieces(2, 1))

    shelf[0].refresh_from_db()
    assert shelf[0].stock == 100_000
    assert not count_differences()
    assert violations() == []


def test_order_whose_dispatch_was_not_recorded_keeps_its_pieces(order: Order) -> None:
    Order.objects.update(dispatch_status=DispatchStatus.NOT_RECORDED)

    back(order, ONE)

    assert numbers(order) == (0, 0, 0, 0, 1)


@pytest.mark.parametrize("pieces", [-1, 4])
def test_pieces_that_are_not_there_are_not_refunded(order: Order, pieces: int) -> None:
    with pytest.raises(RefundImpossible, match="3 pieces is left"):
        back(order, RefundedPieces(pieces))


def test_line_of_another_order_is_not_refunded(order: Order, shelf: list[Product]) -> None:
    other = place_order(purchase(), OpenBasket([line(shelf[2])]), now=timezone.now())
    wanted = {first(other).pk: ONE}

    with pytest.raises(RefundImpossible, match="no such line"):
        refund_lines(
            Payment.objects.get(),
            wanted,
            reason="Torn",
            requested_by=None,
            key="k",
            now=timezone.now(),
        )


def test_all_that_is_left_of_the_charge_calls_the_rest_off(order: Order) -> None:
    request_refund(
        Payment.objects.get(),
        amount_minor=order.total_minor - 500,
        reason="Late",
        requested_by=None,
        now=timezone.now(),
    )

    back(order, ONE)

    assert [each.called_off for each in lines(order)] == [3, 1]


def test_refund_that_fails_keeps_the_pieces_and_is_sent_again_as_an_amount(
    order: Order, till: Till
) -> None:
    refund = back(order, ONE)
    refused = FaultyGateway(till.gateway, before={"refund": raising(RefundRefused("no_funds"))})
    settle_refunds(order.number, only(refused), clock=timezone.now)
    refund.refresh_from_db()
    assert refund.status == "failed"

    again = request_refund(
        Payment.objects.get(),
        amount_minor=refund.amount_minor,
        reason="Again",
        requested_by=None,
        now=timezone.now(),
    )
    till.deliver_messages()

    assert again.replaces == refund
    order.refresh_from_db()
    assert (order.needs_person, order.refunded_minor) == ("", 1001)
    assert numbers(order) == (0, 1, 0, 0, 1)
    assert violations() == []


# Against each other


def test_refund_and_parcel_at_once_never_send_what_is_refunded(order: Order) -> None:
    everything = [RefundedPieces(3), ONE]

    answers = at_once(lambda: send(order), lambda: back(order, *everything))

    sent, refund = answers
    assert isinstance(refund, Refund)
    one = first(order)
    assert (one.shipped, one.called_off) == ((3, 0) if isinstance(sent, Shipment) else (0, 3))
    assert one.refunded == 3
    assert violations() == []


def test_refund_and_cancelling_at_once_send_the_money_back_once(order: Order, till: Till) -> None:
    def cancel() -> object:
        return cancel_paid(order, Canceller.STAFF, by="ada", why="Sold out", now=timezone.now())

    answers = at_once(cancel, lambda: back(order, RefundedPieces(3, 3), ONE), cancel)
    till.deliver_messages()

    order.refresh_from_db()
    assert order.refunded_minor == order.total_minor
    assert order.dispatch_status == DispatchStatus.CALLED_OFF
    refused = [each for each in answers if isinstance(each, Exception)]
    assert all(isinstance(each, RefundImpossible | CannotCancel) for each in refused)
    assert not count_differences()
    assert violations() == []


# A parcel that never left


def test_parcel_taken_back_after_its_pieces_were_refunded_is_not_sent_again(order: Order) -> None:
    parcel = send(order)
    back(order, RefundedPieces(2))
    Order.objects.update(sweep_at=None)  # the money is there
    Refund.objects.update(status="succeeded")

    undo_shipment(parcel, by="clerk", why="Wrong shelf", now=timezone.now())

    assert numbers(order) == (0, 2, 0, 0, 2)
    with pytest.raises(CannotShip):
        send(order, 2)
    send(order)
    assert numbers(order) == (1, 2, 0, 0, 2)


def test_parcel_is_not_taken_back_while_money_is_on_its_way_back(order: Order) -> None:
    parcel = send(order)
    request_refund(
        Payment.objects.get(),
        amount_minor=order.total_minor,
        reason="Late",
        requested_by=None,
        now=timezone.now(),
    )

    with pytest.raises(ActionImpossible, match="on its way back"):
        undo_shipment(parcel, by="clerk", why="Wrong shelf", now=timezone.now())


def test_parcel_of_a_refunded_order_that_never_left_never_will(order: Order, till: Till) -> None:
    parcel = send(order)
    request_refund(
        Payment.objects.get(),
        amount_minor=order.total_minor,
        reason="Late",
        requested_by=None,
        now=timezone.now(),
    )
    till.deliver_messages()

    undo_shipment(parcel, by="clerk", why="Wrong shelf", now=timezone.now())

    order.refresh_from_db()
    assert order.dispatch_status == DispatchStatus.CALLED_OFF
    assert violations() == []
