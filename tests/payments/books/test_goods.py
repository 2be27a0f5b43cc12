"""The audit counts every piece again: sent, called off, taken back, on sale again, refunded."""

from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.cancelling import cancel_paid
from checkout.orders.dispatch.returns import ReturnedPieces, take_return
from checkout.orders.dispatch.ship import ship
from checkout.orders.models import (
    GoodsReturnLine,
    Order,
    OrderEvent,
    OrderLine,
    Shipment,
    ShipmentLine,
)
from checkout.orders.placing.place import place_order
from checkout.orders.states import Canceller, DispatchStatus
from payments.books.goods import GOODS
from payments.models import Payment, Refund, RefundLine
from payments.refund_lines import RefundedPieces, refund_lines
from payments.refunds import request_refund
from tests.support.audited import findings_of
from tests.support.factories import OpenBasket, line, purchase
from tests.support.till import Till

SENT, RETURNED, PUT_BACK, REFUNDED, AFTER, KEPT, DISPATCH = (promise for promise, *_ in GOODS)

CHECKS = ("sent_at_most", "returned_was_sent", "put_back_at_most", "refunded_at_most")


@pytest.fixture
def order(shelf: list[Product], till: Till) -> Order:
    """Of four pieces two were sent, of which one came back and is on sale again; one was refunded,
    which was called off."""
    order = bought(shelf, till)
    line_id = order.lines.get().pk
    now = timezone.now()
    ship(order, {line_id: 2}, key="s", by="clerk", now=now)
    refund_lines(
        Payment.objects.get(),
        {line_id: RefundedPieces(1, 1)},
        reason="Torn",
        requested_by=None,
        key="f",
        now=now,
    )
    take_return(order, {line_id: ReturnedPieces(1, 1)}, key="r", by="clerk", why="", now=now)
    till.deliver_messages()
    return Order.objects.get()


def bought(shelf: list[Product], till: Till) -> Order:
    order = place_order(purchase(), OpenBasket([line(shelf[0], 4)]), now=timezone.now())
    till.settle(order)
    return Order.objects.get(pk=order.pk)


def wrong() -> dict[str, list[str]]:
    findings = findings_of("I12")
    assert len(findings) == len(GOODS)
    return {each.promise: each.rows for each in findings if each.count}


def lines(**values: object) -> int:
    """What a program could write that goes past the constraints."""
    with connection.cursor() as cursor:
        for name in CHECKS:
            constraint = f"orders_orderline_{name}"
            cursor.execute(f"ALTER TABLE orders_orderline DROP CONSTRAINT IF EXISTS {constraint}")
    return OrderLine.objects.update(**values)


def refund_all(till: Till) -> None:
    payment = Payment.objects.get()
    left = payment.amount_minor - sum(Refund.objects.values_list("amount_minor", flat=True))
    request_refund(payment, amount_minor=left, reason="x", requested_by=None, now=timezone.now())
    till.deliver_messages()


def test_order_of_which_everything_happened_is_in_order(order: Order, till: Till) -> None:
    assert order.dispatch_status == DispatchStatus.PARTLY_SENT
    assert wrong() == {}

    refund_all(till)

    assert wrong() == {}


def test_order_from_before_it_was_written_down_is_in_order(order: Order) -> None:
    """Its returns have no rows, but for those that were taken in since."""
    ShipmentLine.objects.all().delete()
    GoodsReturnLine.objects.all().delete()
    assert wrong().keys() == {SENT, RETURNED}

    Order.objects.update(placed_at=timezone.now().replace(year=2020))

    assert wrong() == {}


BREAKS: dict[str, tuple[Callable[[], object], str, str]] = {
    "sent without a parcel": (
        lambda: lines(shipped=3),
        SENT,
        "SKU-01: 3 of 4 sent, 1 called off, its parcels have 2",
    ),
    "sent and called off": (lambda: lines(called_off=3), SENT, "2 of 4 sent, 3 called off"),
    "a parcel that no line knows": (
        lambda: ShipmentLine.objects.update(quantity=3),
        SENT,
        "its parcels have 3",
    ),
    "a parcel taken back, and its pieces not": (
        lambda: Shipment.objects.update(undone_at=timezone.now()),
        SENT,
        "its parcels have 0",
    ),
    "came back without a return": (
        lambda: lines(returned=2),
        RETURNED,
        "2 of 2 sent came back, its returns have 1",
    ),
    "came back and was not sent": (
        lambda: lines(returned=3),
        RETURNED,
        "3 of 2 sent came back",
    ),
    "a return that no line knows": (
        lambda: GoodsReturnLine.objects.update(quantity=2),
        RETURNED,
        "its returns have 2",
    ),
    "on sale again without a movement": (
        lambda: lines(put_back=3, called_off=2),
        PUT_BACK,
        "3 on sale again of 3 that the shop has, the movements say 2",
    ),
    "on sale again and not in hand": (
        lambda: lines(called_off=0),
        PUT_BACK,
        "2 on sale again of 1",
    ),
    "a movement that no line knows": (
        lambda: lines(put_back=1),
        PUT_BACK,
        "the movements say 2",
    ),
    "refunded without a refund": (
        lambda: lines(refunded=2),
        REFUNDED,
        "2 of 4 refunded, its refunds have 1",
    ),
    "a refund that no line knows": (
        lambda: RefundLine.objects.update(quantity=2),
        REFUNDED,
        "its refunds have 2",
    ),
    "refunded and still to be sent": (
        lambda: (RefundLine.objects.update(quantity=4), lines(refunded=4)),
        REFUNDED,
        "4 of 4 refunded, its refunds have 4; 2 sent, 1 called off",
    ),
    "a status that the lines do not say": (
        lambda: Order.objects.update(dispatch_status=DispatchStatus.SENT),
        DISPATCH,
        "order says sent, its lines partly_sent",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_each_break_is_found_and_named(order: Order, name: str) -> None:
    plant, promise, said = BREAKS[name]
    with transaction.atomic():
        plant()
        found = wrong()
        transaction.set_rollback(True)

    [row] = found[promise]
    assert row.startswith(f"{order.number}: ")
    assert said in row


def test_parcel_after_all_money_was_sent_back_is_found(order: Order, till: Till) -> None:
    refund_all(till)
    late = OrderEvent.objects.create(
        order=order, kind="staff", reason="Sent", created_at=timezone.now()
    )
    Shipment.objects.update(event=late)

    assert "left after all money was sent back" in wrong()[AFTER][0]


def test_rest_of_a_refunded_order_that_may_be_sent_is_found(order: Order, till: Till) -> None:
    refund_all(till)
    OrderLine.objects.update(called_off=F("called_off") - 1, put_back=0)

    assert "SKU-01: 1 may still be sent" in wrong()[AFTER][0]


def test_money_of_a_cancelled_order_that_is_kept_is_found(shelf: list[Product], till: Till) -> None:
    order = bought(shelf, till)
    cancel_paid(order, Canceller.STAFF, by="ada", why="x", now=timezone.now())
    assert wrong() == {}  # it is under way

    Order.objects.update(sweep_at=None)
    assert f"{order.number}: cancelled after it was paid, order is paid, 4004" in wrong()[KEPT][0]

    Order.objects.update(sweep_at=timezone.now())
    till.deliver_messages()
    assert wrong() == {}


def test_audit_makes_the_same_statements_for_any_number_of_orders(
    order: Order, shelf: list[Product]
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            wrong()
        return len(queries)

    few = statements()
    for _ in range(3):
        place_order(purchase(), OpenBasket([line(shelf[1])]), now=timezone.now())

    assert statements() == few
