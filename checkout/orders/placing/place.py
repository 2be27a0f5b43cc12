"""Placing an order: one purchase, at most one order, whatever happens in between."""

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable
from uuid import UUID

from django.db import DatabaseError, IntegrityError, connection, transaction

from checkout.catalogue.amounts import AmountRefused, refusal_of
from checkout.catalogue.models import Product
from checkout.catalogue.stock import reserve_stock
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
from checkout.orders.placing.one_statement import StoredBasket, place_stored_basket
from checkout.orders.states import OrderStatus
from checkout.orders.sweep_schedule import next_sweep
from checkout.orders.transitions import pay_with_nothing, record_transition
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


@dataclass(frozen=True, kw_only=True)
class Customer:
    email: str
    full_name: str
    address: str
    city: str
    postcode: str
    country: str  # ISO 3166-1 alpha-2


@dataclass(frozen=True, kw_only=True)
class PurchaseLine:
    product_id: int
    sku: str
    name: str
    quantity: int
    unit_price_minor: int

    @classmethod
    def of(cls, product: Product, quantity: int) -> "PurchaseLine":
        return cls(
            product_id=product.pk,
            sku=product.sku,
            name=product.name,
            quantity=quantity,
            unit_price_minor=product.price_minor,
        )


class Basket(Protocol):
    """Where the lines of a purchase come from: a cart, or an API client's request."""

    def take(self) -> Sequence[PurchaseLine]:
        """Lock the basket, check it against what the customer saw, use it up, and return its lines.

        This runs first inside the placing transaction, so a later failure gives the basket back. It
        raises `BasketTaken` when it is used up, and an error of its own when it is not as seen.
        """


@runtime_checkable
class InDatabase(Protocol):
    """A basket that one statement can take together with storing its order."""

    def stored(self) -> StoredBasket | None:
        """The basket for the statement, or None where only `take` can decide."""


class BasketTaken(Exception):
    """Another request has used this basket up; its order is the answer to this one too."""


class PlacingUnavailable(Exception):
    """Nothing was stored or charged, as far as can be known. Sending it again is always safe."""


@dataclass(frozen=True, kw_only=True)
class PlaceOrder:
    checkout_id: UUID
    customer: Customer
    payment_method: str
    currency: str
    content_digest: str  # see `digest`
    customer_id: int | None = None  # the account that is signed in
    language: str = ""  # for mails to the customer; the shop's own if empty
    again_of: Order | None = None  # a similar order beside which this one is wanted as well
    # Declined payments are counted by these; see `Visitor` in limits.
    from_session: str = ""
    from_address: str = ""


def basket_digest(quantities: Iterable[tuple[int, int]]) -> str:
    """A digest of products' ids and quantities, in any order: equal for the same products."""
    return digest({str(product_id): quantity for product_id, quantity in quantities})


def digest(content: Mapping[str, object]) -> str:
    """A digest of all that a purchase asks for, equal for a repetition that asks for the same."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def place_order(request: PlaceOrder, basket: Basket, *, now: datetime) -> Order:
    """Store the order of this checkout id, or return the one that is stored already.

    A lost connection is not a failure: COMMIT may have arrived although its reply never came. So
    the order is looked up over a fresh connection, and placed again if it is not there.
    """
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
    absorb_resubmission(winner, request.content_digest, now=now)
    return winner


def _place_at_once(request: PlaceOrder, basket: Basket, *, now: datetime) -> Order | None:
    """Place the order by one statement, as most orders are. None means that nothing was stored:
    `_place` finds out why, or this is one of the few orders that the statement is not made for."""
    stored = basket.stored() if isinstance(basket, InDatabase) else None
    if stored is None or request.again_of:
        return None
    if not stored.total_minor or refusal_of(stored.total_minor, request.currency):
        return None
    order = _new_order(request, stored.digest, stored.total_minor, now=now)
    try:
        with transaction.atomic(durable=True):
            with fault_points("order inserted"), fault_points("stock reserved"):
                is_placed = place_stored_basket(order, stored)
            fault_point("before commit sent")
    except IntegrityError:
        return None
    return order if is_placed else None


def _new_order(
    request: PlaceOrder, basket_digest: str, total_minor: int, *, now: datetime
) -> Order:
    return Order(
        checkout_id=request.checkout_id,
        content_digest=request.content_digest,
        basket_digest=basket_digest,
        customer_id=request.customer_id,
        language=request.language,
        total_minor=total_minor,
        currency=request.currency,
        payment_method=request.payment_method if total_minor else "",
        from_session=request.from_session,
        from_address=request.from_address,
        placed_at=now,
        status_changed_at=now,
        sweep_at=next_sweep(now),
        **asdict(request.customer),
    )


def _place(request: PlaceOrder, basket: Basket, *, now: datetime) -> Order:
    lines = basket.take()
    goods = basket_digest((line.product_id, line.quantity) for line in lines)
    total_minor = sum(line.quantity * line.unit_price_minor for line in lines)
    if refusal := refusal_of(total_minor, request.currency):
        raise AmountRefused(refusal)
    order = _new_order(request, goods, total_minor, now=now)
    with fault_points("order inserted"):
        order.save(force_insert=True)
    OrderLine.objects.bulk_create([OrderLine(order=order, **asdict(line)) for line in lines])
    with fault_points("stock reserved"):
        quantities = {line.product_id: line.quantity for line in lines}
        reserve_stock(quantities, order_id=order.pk)
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


def absorb_resubmission(order: Order, content_digest: str, *, now: datetime) -> None:
    """Count that the same purchase came again. The response does not depend on it."""
    if order.content_digest == content_digest:
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
