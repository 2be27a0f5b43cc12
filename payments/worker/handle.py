"""What one message leads to: settle, check, refund or cancel; then delete it, or show it again."""

import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from functools import partial
from threading import Event
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection

from checkout.orders.identity.matching import names_another, names_us, orders_meant
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import OutboxMessage
from checkout.orders.outbox.enqueue import ask
from checkout.orders.outbox.messages import FutureVersion, OrderMessage, PoisonMessage, decode
from checkout.orders.queue.setup import MAX_RECEIVE_COUNT
from checkout.orders.queue.sqs import Incoming
from checkout.runtime import metrics, spans, trace
from checkout.runtime.clock import database_now
from checkout.runtime.database import CONNECTION_ERRORS, is_lost_connection
from checkout.runtime.retry import pauses
from payments.books.lost_orders import note_lost
from payments.capturing.capture import settle_captures
from payments.gateways.base import GatewayMisconfigured
from payments.gateways.load import Gateways
from payments.models import PaymentAttempt
from payments.settling.check_order import cancel_order, check_order
from payments.settling.refunds import settle_refunds
from payments.settling.result import Result, UnknownOrder
from payments.settling.settle_order import settle_order

logger = logging.getLogger(__name__)

# How long a message is put back for, by the reason.
BUSY_SECONDS = (2, 8, 30)  # at its first receives; see `busy_seconds`
FUTURE_VERSION_SECONDS = 300
POISON_SECONDS = 5  # on its way to the dead-letter queue: soon, but not in a tight loop
FOREIGN_SECONDS = (1, 2, 5, 15)
FAILED_SECONDS = (10, 30, 120, 600)  # so a fault may last for 12 minutes and more

# A message waits here so long for a database that is away, as while it restarts, fails over or is
# repaired: nothing else could be done meanwhile. Put back, it would come again minutes after the
# database does, and hide all other messages of its order until then.
AWAY_PATIENCE_SECONDS = 900.0

# It waits so long where the database answers, and not as it should: for a lock in vain, or without
# room on its disk. Then it costs a receive, unless it has no other left: SQS would take it for a
# dead letter.
DATABASE_PATIENCE_SECONDS = 30.0

# It is tried each second, and said at first and then twice a minute: an outage fills no log.
SAID_EVERY = 30

# Alerts ask how much these have grown, and to Prometheus a series that begins with 1 has not grown.
for _outcome in ("poison", "unknown_order", "of_another_installation", "lost_order", "failed"):
    metrics.HANDLED.labels(_outcome)
for _step in PaymentAttempt.Step.values:
    metrics.GATEWAY_SECONDS.labels(_step, GatewayMisconfigured.__name__)

HANDLERS: dict[str, Callable[..., Result]] = {
    OutboxMessage.Kind.SETTLE_PAYMENT: settle_order,
    OutboxMessage.Kind.CHECK_PAYMENT: check_order,
    OutboxMessage.Kind.CAPTURE: settle_captures,
    OutboxMessage.Kind.REFUND: settle_refunds,
    OutboxMessage.Kind.CANCEL_ORDER: cancel_order,
}
# These take a payment's lease.
TAKE_LEASES = {OutboxMessage.Kind.SETTLE_PAYMENT, OutboxMessage.Kind.CHECK_PAYMENT}


class OfAnotherInstallation(Exception):
    """Another installation shares our queue. The message is for its workers, and must not be
    deleted here."""


class OrderIsLost(Exception):
    """This installation sent the message, and its database does not have the order: a backup was
    restored."""

    def __init__(self, order: OrderIdentity) -> None:
        super().__init__(order.reference)
        self.order = order


class Verdict(Enum):
    DELETE = "delete"
    PUT_BACK = "put back"


def handle(
    message: Incoming,
    gateways: Gateways,
    *,
    lease_token: UUID | None = None,
    stopping: Event | None = None,
) -> tuple[Verdict, int]:
    """What one message leads to: delete it, or show it again in so many seconds.

    DELETE only when the outcome is committed, or when there was nothing left to do. A connection
    that broke costs the message nothing: it goes on here, under its own lease, as soon as the
    database answers again.
    """
    is_last = message.receive_count >= MAX_RECEIVE_COUNT
    began = time.monotonic()
    lease_token = lease_token or uuid4()
    stopping = stopping or Event()
    extra: dict[str, object] = {"message_id": message.id, "receive_count": message.receive_count}
    with trace.span("handle", message.traceparent, receive_count=message.receive_count):
        waits = pauses(first=0.1, longest=1.0, within=AWAY_PATIENCE_SECONDS)
        for number, pause in enumerate(waits):
            try:
                return _handle(message, gateways, lease_token, extra)
            except CONNECTION_ERRORS as error:
                connection.close()
                again = {**extra, "error": type(error).__name__, "pause_seconds": pause}
                if number % SAID_EVERY == 0:
                    logger.warning("The database did not answer about a message", extra=again)
                has_waited = time.monotonic() - began >= DATABASE_PATIENCE_SECONDS
                if has_waited and not is_last and not is_lost_connection(error):
                    break
                if stopping.wait(pause):
                    return Verdict.PUT_BACK, 0
        metrics.HANDLED.labels("failed").inc()
        logger.error("The database does not answer, the message comes again", extra=extra)
        return Verdict.PUT_BACK, failed_seconds(message.receive_count)


def _handle(
    message: Incoming, gateways: Gateways, lease_token: UUID, extra: dict[str, object]
) -> tuple[Verdict, int]:
    try:
        content = decode(message.body)
        extra["order"] = content.order.number
        with metrics.HANDLE_SECONDS.labels(_known(content.kind)).time():
            result = _dispatch(content, gateways, lease_token)
    except CONNECTION_ERRORS:
        raise
    except Exception as error:
        return _put_back(error, message, extra)
    metrics.HANDLED.labels(result.name.lower()).inc()
    extra["outcome"] = result.value
    spans.set_attributes(order=content.order.number, kind=content.kind, outcome=result.value)
    logger.info("Message handled", extra=extra)
    if result is Result.BUSY:
        if message.receive_count >= MAX_RECEIVE_COUNT:
            _ask_instead(content, busy_seconds(message.receive_count))
            return Verdict.DELETE, 0
        return Verdict.PUT_BACK, busy_seconds(message.receive_count)
    return Verdict.DELETE, 0


def _ask_instead(content: OrderMessage, seconds: int) -> None:
    """Have another message ask in so many seconds. SQS would take this one for a dead letter at its
    next receive, although nothing is wrong with it: it has only met another worker each time."""
    order_id = orders_meant(content.order).values_list("pk", flat=True).get()
    ask(order_id, content.kind, at=database_now() + timedelta(seconds=seconds))


def _put_back(error: Exception, message: Incoming, extra: dict[str, object]) -> tuple[Verdict, int]:
    """Say why the message was not handled, and have it shown again later."""
    match error:
        case FutureVersion():
            outcome, seconds = "future_version", FUTURE_VERSION_SECONDS
            logger.warning("A message of a newer release was put back", extra=extra)
        case PoisonMessage():
            outcome, seconds = "poison", POISON_SECONDS
            extra["reason"] = str(error)
            logger.error("Not a message of this shop, left for the dead-letter queue", extra=extra)
        case OfAnotherInstallation():
            outcome, seconds = "of_another_installation", foreign_seconds(message.receive_count)
            logger.warning(
                "A message of another installation was put back: each needs a queue of its own",
                extra=extra,
            )
        case OrderIsLost():
            outcome, seconds = "lost_order", POISON_SECONDS
            note_lost(error.order, now=database_now())
        case UnknownOrder():
            outcome, seconds = "unknown_order", POISON_SECONDS
            logger.error("No order has this number, left for the dead-letter queue", extra=extra)
        case _:  # a fault of ours: the message must come again
            outcome, seconds = "failed", failed_seconds(message.receive_count)
            logger.exception("Settling failed, the message comes again", extra=extra)
            connection.close()
    metrics.HANDLED.labels(outcome).inc()
    return Verdict.PUT_BACK, seconds


def _known(kind: str) -> str:
    """The kind as a label of a metric: a message could name anything as its kind."""
    return kind if kind in HANDLERS else "unknown"


def busy_seconds(receive_count: int) -> int:
    """How long a message waits whose payment another worker has: little at first; then longer than
    any lease, so that a worker that died does not make a dead letter of the message."""
    if receive_count <= len(BUSY_SECONDS):
        return BUSY_SECONDS[max(0, receive_count - 1)]
    lease_seconds: float = settings.PAYMENT_LEASE_SECONDS
    return max(30, math.ceil(lease_seconds))


def foreign_seconds(receive_count: int) -> int:
    """How long a message of another installation waits: little at first, so that the shoppers there
    hardly wait; then longer, so that the message outlives a restart of the workers there before SQS
    takes it for a dead letter. The sweep of that installation publishes again what became one."""
    return FOREIGN_SECONDS[min(max(1, receive_count), len(FOREIGN_SECONDS)) - 1]


def failed_seconds(receive_count: int) -> int:
    """How long a message waits that could not be handled, which is longer each time: an outage of
    the database would else fill the dead-letter queue with good messages within a minute."""
    return FAILED_SECONDS[min(max(1, receive_count), len(FAILED_SECONDS)) - 1]


def _dispatch(content: OrderMessage, gateways: Gateways, lease_token: UUID) -> Result:
    order, act = content.order, HANDLERS.get(content.kind)
    if act and content.kind in TAKE_LEASES:
        act = partial(act, lease_token=lease_token)
    if act and content.kind == OutboxMessage.Kind.SETTLE_PAYMENT and names_us(order):
        # The order of nearly every message has the number that the message names, so the first
        # statement of its settlement looks for both, and no other is needed.
        with suppress(UnknownOrder):
            return act(order.number, gateways, clock=database_now, reference=order.reference)
    number = _number_of(order)
    if act is None:
        # The message is well-formed, so it is most likely of a newer release, whose workers come
        # within minutes. A kind that nobody knows ends in the dead-letter queue all the same: SQS
        # moves the message after five receives, 25 minutes from the first.
        raise FutureVersion
    return act(number, gateways, clock=database_now)


def _number_of(order: OrderIdentity) -> str:
    """The number under which the database has the order that a message names."""
    if not order.installation:
        return order.number
    if names_another(order):
        raise OfAnotherInstallation
    number = orders_meant(order).values_list("number", flat=True).first()
    if number is None:
        raise OrderIsLost(order)
    return number
