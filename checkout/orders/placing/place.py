"""Placing an order: one purchase, at most one order, whatever happens in between."""

import logging
import time
from collections.abc import Collection
from contextlib import nullcontext
from datetime import datetime

from django.db import DatabaseError, IntegrityError, connection, transaction

from checkout.catalogue.amounts import AmountRefused, refusal_of
from checkout.catalogue.stock import reserve_stock
from checkout.orders.code_uses import CodeRefused, use_code
from checkout.orders.history import count_resubmission, record_event
from checkout.orders.models import (
    CHECKOUT_UNIQUE,
    Order,
    OrderEvent,
    OrderLine,
    OutboxMessage,
)
from checkout.orders.outbox.enqueue import ask_first
from checkout.orders.placing.find_order import find_order
from checkout.orders.placing.one_statement import place_stored_basket
from checkout.orders.placing.parts import order_lines, parts_of
from checkout.orders.placing.purchase import (
    Basket,
    BasketTaken,
    InDatabase,
    PlaceOrder,
    QuoteRefused,
    TotalChanged,
    basket_digest,
)
from checkout.orders.placing.quoting import count_if_wrong, is_held_back, work_out
from checkout.orders.states import OrderStatus
from checkout.orders.sweep_schedule import next_sweep
from checkout.orders.transitions import pay_with_nothing, record_transition
from checkout.orders.ways_to_pay.offers import offered
from checkout.quotes.quote import Quote, Refusal
from checkout.runtime import metrics
from checkout.runtime.database import CONNECTION_ERRORS
from checkout.runtime.faultpoints import fault_point, fault_points
from checkout.runtime.retry import pauses

logger = logging.getLogger(__name__)

# A restart of the database takes a second or two, and a shopper need not know of it. An order waits
# this long for its end, trying each time over a fresh connection. It tries at least this often,
# since waiting in vain for a lock takes most of that time.
PATIENCE_SECONDS = 5.0
ATTEMPTS_AT_LEAST = 3


class PlacingUnavailable(Exception):
    """Nothing was stored or charged, as far as can be known. Sending it again is always safe."""


def place_order(request: PlaceOrder, basket: Basket, *, now: datetime) -> Order:
    """Store the order of this checkout id, or return the one that is stored already. Whoever has
    guessed too many codes is refused any, before it is looked up; wrong ones are counted here,
    since what is counted inside the transaction would go with it.
    """
    if is_held_back(request.code, request.visitor, now=now):
        if order := find_order(request.checkout_id):
            absorb_resubmission(order, request.digests, now=now)
            return order
        raise QuoteRefused([Refusal.CODE_TOO_MANY_TRIES])
    try:
        return _place_with_patience(request, basket, now=now)
    except QuoteRefused as refused:
        count_if_wrong(refused.refusals, request.visitor, now=now)
        raise


def _place_with_patience(request: PlaceOrder, basket: Basket, *, now: datetime) -> Order:
    """A lost connection is not a failure: COMMIT may have arrived although its reply never came. So
    the order is looked up over a fresh connection, and placed again if it is not there."""
    waits = pauses(first=0.1, longest=0.5, within=PATIENCE_SECONDS, at_least=ATTEMPTS_AT_LEAST)
    for attempt, pause in enumerate(waits, 1):
        try:
            if attempt > 1 and (order := find_order(request.checkout_id)):
                return order  # most likely our own, whose COMMIT was not answered
            return _place_or_find_winner(request, basket, now=now)
        except CONNECTION_ERRORS:
            logger.warning(
                "Placing lost its database connection or waited too long",
                extra={"attempt": attempt},
                exc_info=attempt == 1,
            )
            connection.close()
            time.sleep(pause)
    raise PlacingUnavailable


def _place_or_find_winner(request: PlaceOrder, basket: Basket, *, now: datetime) -> Order:
    try:
        order = _place_at_once(request, basket, now=now)
        if order is None:
            with transaction.atomic(durable=True):
                order = _place(request, basket, now=now)
        logger.info("Order placed", extra={"order": order.number})
        metrics.ORDERS_PLACED.inc()
        fault_point("after commit sent")
        return order
    except BasketTaken:
        winner = find_order(request.checkout_id)
    except IntegrityError as error:
        if _constraint_name(error) != CHECKOUT_UNIQUE:
            raise
        winner = find_order(request.checkout_id)
    if winner is None:
        raise PlacingUnavailable  # the basket is used up, but not by an order: never guess
    absorb_resubmission(winner, request.digests, now=now)
    return winner


def _place_at_once(request: PlaceOrder, basket: Basket, *, now: datetime) -> Order | None:
    """Place the order by one statement, as most orders are. None means that nothing was stored:
    `_place` finds out why, or this is one of the few orders that the statement is not made for."""
    stored = basket.stored() if isinstance(basket, InDatabase) else None
    if stored is None or request.again_of or request.code:
        return None
    quote = work_out([each.line for each in stored.bought], request.terms, now=now)
    if not quote.total_minor or not basket.is_as_shown(quote.total_minor):
        return None
    if _refusals(quote, request) or refusal_of(
        quote.total_minor, request.currency, request.gateway
    ):
        return None
    order = _new_order(request, quote, now=now)
    # A statement outside of any transaction is one by itself. Inside of one this is refused.
    alone = transaction.atomic(durable=True) if connection.in_atomic_block else nullcontext()
    fault_point("before commit sent")
    try:
        with alone, fault_points("order inserted"), fault_points("stock reserved"):
            is_placed = place_stored_basket(order, stored, quote)
    except IntegrityError:
        return None
    return order if is_placed else None


def _refusals(quote: Quote, request: PlaceOrder) -> list[Refusal]:
    """All reasons why this purchase cannot be had as it is asked for."""
    refusals = list(quote.refusals)
    if quote.delivery and quote.delivery.method.needs_phone and not request.customer.phone:
        refusals.append(Refusal.PHONE_MISSING)
    ways = offered(request.customer.country, quote.total_minor, request.currency)
    if quote.total_minor and request.gateway not in ways:
        refusals.append(Refusal.WAY_TO_PAY_NOT_OFFERED)
    return refusals


def _new_order(request: PlaceOrder, quote: Quote, *, now: datetime) -> Order:
    return Order(
        checkout_id=request.checkout_id,
        content_digest=request.content_digest,
        basket_digest=basket_digest(
            (each.line.product_id, each.line.quantity) for each in quote.lines
        ),
        customer_id=request.customer_id,
        language=request.language,
        currency=request.currency,
        gateway=request.gateway if quote.total_minor else "",
        payment_method=request.payment_method if quote.total_minor else "",
        from_session=request.from_session,
        from_address=request.from_address,
        placed_at=now,
        status_changed_at=now,
        sweep_at=next_sweep(now),
        **request.customer.columns(),
        **parts_of(quote),
    )


def _place(request: PlaceOrder, basket: Basket, *, now: datetime) -> Order:
    bought = basket.take()
    if request.again_of:
        # Its events refer to this order at COMMIT. Whoever is cancelling it has its row, and wants
        # the same goods next: each would wait for the other.
        Order.objects.select_for_update().only("pk").get(pk=request.again_of.pk)
    quote = work_out([each.line for each in bought], request.terms, now=now)
    if refusals := _refusals(quote, request):
        raise QuoteRefused(refusals)
    # The total is that of the very lines that are stored, so no price can change in between.
    if not basket.is_as_shown(quote.total_minor):
        raise TotalChanged(quote)
    if refusal := refusal_of(quote.total_minor, request.currency, request.gateway):
        raise AmountRefused(refusal)
    order = _new_order(request, quote, now=now)
    with fault_points("order inserted"):
        order.save(force_insert=True)
    OrderLine.objects.bulk_create(order_lines(order, bought, quote))
    with fault_points("stock reserved"):
        quantities = {each.line.product_id: each.line.quantity for each in bought}
        reserve_stock(quantities, order_id=order.pk)
    try:
        use_code(order)
    except CodeRefused as refused:
        raise QuoteRefused([refused.refusal]) from None
    record_transition(
        order.pk,
        None,
        OrderStatus.PLACED,
        reason="Order placed",
        now=now,
        is_mailed=not order.is_free,  # a free order is mailed its receipt at once
    )
    if request.again_of:
        _note_similar(order, request.again_of, now=now)
    if order.is_free:
        pay_with_nothing(order, now=now)
        order.refresh_from_db()
    else:
        ask_first(order.pk, OutboxMessage.Kind.SETTLE_PAYMENT, at=now)
    fault_point("before commit sent")
    return order


def _note_similar(order: Order, similar: Order, *, now: datetime) -> None:
    for noted, what in (
        (order, f"Ordered beside {similar.number}"),
        (similar, f"Ordered again as {order.number}"),
    ):
        reason = f"{what} on purpose: its customer was asked"
        record_event(noted.pk, OrderEvent.Kind.TWIN_ORDERED, reason, now=now)


def absorb_resubmission(order: Order, digests: Collection[str], *, now: datetime) -> None:
    """Count that the same purchase came again. The response does not depend on it. `digests` are of
    the content that came, by the rules of this release and of those that may have stored theirs."""
    if order.content_digest in digests:
        kind, reason = OrderEvent.Kind.RESUBMITTED, "Sent again"
    else:
        kind = OrderEvent.Kind.RESUBMITTED_CHANGED
        reason = "Sent again with other content, which was not taken over"
    try:
        with transaction.atomic():
            count_resubmission(order, kind, reason, now=now)
    except DatabaseError:
        logger.warning("A resubmission was not counted", extra={"order": order.number})
        connection.close()
    else:
        is_same = kind == OrderEvent.Kind.RESUBMITTED
        metrics.RESUBMISSIONS.labels("same" if is_same else "changed").inc()


def _constraint_name(error: IntegrityError) -> str | None:
    diagnostics = getattr(error.__cause__, "diag", None)
    return getattr(diagnostics, "constraint_name", None)
