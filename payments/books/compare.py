"""Our books against the gateway's, charge by charge and refund by refund, and safe repairs.

The gateway's lists are read once, newest first, and compared in chunks of one page each, with a
constant number of statements for a chunk. Of what was read only the ids stay in memory. One more
call is made for each difference that may be gone by the time it is seen, and none for books that
agree. So the time grows with what was opened since `since`, and the memory with its ids.

What is still under way on either side is no difference.
"""

import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import TypeVar

from django.core.management.base import OutputWrapper
from django.db import transaction
from django.db.models import Exists, Max, OuterRef
from django.utils import timezone
from moneyed import CurrencyDoesNotExist

from checkout.catalogue.money import money
from checkout.catalogue.templatetags.money import show_money
from checkout.orders.identity.installation import installation_id
from checkout.orders.identity.matching import could_name, orders_named
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.states import UNSETTLED, OrderStatus
from checkout.runtime.terminal import Progress, aligned, printable
from payments.books.lost_orders import not_seen_to, note_lost_payments
from payments.books.ours import Ours
from payments.gateways.base import (
    Gateway,
    GatewayDispute,
    GatewayError,
    GatewayPayment,
    GatewayRefund,
    GatewayState,
    NoSuchPayment,
    RefundState,
)
from payments.models import Dispute, Payment, Refund
from payments.settling.disputes import record_disputes
from payments.settling.gateway_calls import Calls, Clock
from payments.settling.outcomes import record_success
from payments.settling.refunds import disputes_were_recorded, take_over_refunds
from payments.settling.retry import ask_later
from payments.settling.settle_order import close
from payments.states import LIVE, UNSETTLED_REFUNDS, PaymentStatus, RefundStatus

logger = logging.getLogger(__name__)

CHARGED_NOT_PAID = "charged there, not paid here"
PAID_NOT_CHARGED = "paid here, not charged there"
WRONG_AMOUNT = "another amount or currency there"
ORPHAN = "still open there, over here"
REFUND_THERE_ONLY = "sent back there, not here"
REFUND_HERE_ONLY = "sent back here, not there"
REFUND_CAME_BACK = "sent back here, came back there"
REFUND_DIFFERS = "another amount was sent back there"
LOST_ORDER = "there for an order of ours that is lost here"
DISPUTED_THERE = "disputed there, not so here"

# A payment or refund younger than this may be on its way through the worker.
UNDER_WAY = timedelta(hours=1)

# As long as Stripe remembers a key, a repeated call to open finds what the first one opened.
KEY_LIFE = timedelta(hours=24)

# Clocks differ, and a payment is opened there before its outcome is stored here.
MARGIN = timedelta(hours=1)

# A bank may return a refund after up to 30 days (Stripe docs, "Refund failures"), and some more.
REFUND_MAY_FAIL = timedelta(days=45)

# No gateway is asked about times before there were any.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

# A page of the gateway's list; see the adapter.
CHUNK = 100

# A repair may lay another difference open: a charge recorded, and its order's other card is over.
PASSES = 3

# What may still be charged without anybody here knowing.
CHARGEABLE = {GatewayState.OPEN, GatewayState.NEEDS_ACTION, GatewayState.PROCESSING}

PAID_ORDERS = [OrderStatus.PAID, OrderStatus.PARTLY_REFUNDED, OrderStatus.REFUNDED]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Side:
    """What one of the two books says."""

    state: str
    amount_minor: int
    currency: str

    def __str__(self) -> str:
        amount = f"{self.amount_minor} {self.currency}"
        with suppress(CurrencyDoesNotExist):
            amount = show_money(money(self.amount_minor, self.currency))
        return f"{self.state} {amount}"


@dataclass(frozen=True, kw_only=True)
class Difference:
    kind: str
    order: str
    gateway_id: str  # the payment's, or the refund's; empty when no payment is known on either side
    here: Side | None = None  # None: unknown here
    there: Side | None = None
    reference: str = ""  # of a lost order: its number may be another order's by now

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.order, self.gateway_id


@dataclass(kw_only=True)
class Strangers:
    """Payments of others on the same account: of another installation or another program. Nothing
    is ever done about them."""

    count: int = 0
    keeps: bool = False  # listed too, which takes memory for each
    payments: list[GatewayPayment] = field(default_factory=list)

    def meet(self, theirs: GatewayPayment) -> None:
        self.count += 1
        if self.keeps:
            self.payments.append(theirs)


@dataclass(kw_only=True)
class Report:
    found: list[Difference]
    remaining: list[Difference]
    repairs: dict[tuple[str, str, str], str] = field(default_factory=dict)
    strangers: Strangers = field(default_factory=Strangers)


class UnreadableSince(Exception):
    """The time to begin at was not understood. The message says what is."""


def reconcile(
    gateway: Gateway,
    *,
    since: datetime,
    clock: Clock,
    may_repair: Callable[[Report], bool],
    lists_strangers: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Compare, and note the lost orders; then, if there is something safe to do and it may be done,
    repair."""
    strangers = Strangers(keeps=lists_strangers)
    comparison = _Comparison(gateway, since, clock(), progress, strangers=strangers)
    found = list(comparison.run())
    note_lost_payments(comparison.lost, now=clock())
    report = Report(found=found, remaining=found, strangers=strangers)
    if any(map(is_repairable, found)) and may_repair(report):
        return repair(gateway, report, since=since, clock=clock, progress=progress)
    return report


def differences(
    gateway: Gateway, *, since: datetime, now: datetime, progress: Progress | None = None
) -> Iterator[Difference]:
    return _Comparison(gateway, since, now, progress).run()


def repair(
    gateway: Gateway,
    report: Report,
    *,
    since: datetime,
    clock: Clock,
    progress: Progress | None = None,
) -> Report:
    """Do what is safe about each difference, and compare again. What remains is for a person."""
    found = {difference.key: difference for difference in report.found}
    remaining, repairs = report.found, dict(report.repairs)
    for _ in range(PASSES):
        # The oldest first: of two charges for one order the first one pays it.
        untried = [d for d in reversed(remaining) if is_repairable(d) and d.key not in repairs]
        if not untried:
            break
        for difference in sorted(untried, key=lambda d: list(_REPAIRS).index(d.kind)):
            repairs[difference.key] = _repaired(gateway, difference, clock)
        remaining = list(differences(gateway, since=since, now=clock(), progress=progress))
        found |= {difference.key: difference for difference in remaining}
    return replace(report, found=list(found.values()), remaining=remaining, repairs=repairs)


def is_repairable(difference: Difference) -> bool:
    return difference.kind in _REPAIRS


@dataclass
class _Comparison:
    gateway: Gateway
    since: datetime
    now: datetime
    progress: Progress | None
    strangers: Strangers = field(default_factory=Strangers)
    lost: list[GatewayPayment] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    charged_orders: set[str] = field(default_factory=set)

    def run(self) -> Iterator[Difference]:
        for chunk in self._chunks(self.gateway.list_since(self.since - MARGIN)):
            self.seen.update(payment.id for payment in chunk)
            books = Ours.among(chunk)
            for suspected in _compare_payments(chunk, books, self.now):
                yield from self._confirmed(suspected)
            yield from self._lost(books.lost)
            for theirs in books.strangers:
                self.strangers.meet(theirs)
        yield from self._paid_and_never_seen()
        yield from self._paid_without_payment()
        made_since = min(self.since, self.now - REFUND_MAY_FAIL) - MARGIN
        for refunds in self._chunks(self.gateway.list_refunds_since(made_since)):
            sent = [refund for refund in refunds if refund.state is not RefundState.FAILED]
            self.seen.update(refund.id for refund in sent)
            yield from _compare_refunds(sent, self.now)
        yield from self._sent_back_and_never_seen()
        yield from self._disputed()

    def _chunks(self, items: Iterable[T]) -> Iterator[list[T]]:
        iterator = iter(items)
        while chunk := list(islice(iterator, CHUNK)):
            yield chunk
            if self.progress:
                self.progress(len(self.seen))

    def _confirmed(self, suspected: Difference) -> Iterable[Difference]:
        """The list is older than our rows: what it showed as unpaid may have moved since."""
        if suspected.kind == CHARGED_NOT_PAID:
            self.charged_orders.add(suspected.order)
        if suspected.kind == ORPHAN and suspected.gateway_id in self._young:
            return []
        if suspected.kind in {ORPHAN, PAID_NOT_CHARGED}:
            return _compare_one(self.gateway, suspected.gateway_id, self.now)
        return [suspected]

    def _lost(self, payments: list[GatewayPayment]) -> Iterator[Difference]:
        for theirs in not_seen_to(payments):
            self.lost.append(theirs)
            yield Difference(
                kind=LOST_ORDER,
                order=theirs.order.number,
                reference=theirs.order.reference,
                gateway_id=theirs.id,
                there=_side(theirs.state.value, theirs),
            )

    @cached_property
    def _young(self) -> set[str]:
        """Read at the first suspicion: after the page that raised it, so nothing newer is amiss."""
        return {theirs.id for theirs in self.gateway.list_since(self.now - UNDER_WAY)}

    def _paid_and_never_seen(self) -> Iterator[Difference]:
        paid = Payment.objects.filter(status=PaymentStatus.PAID, created_at__gte=self.since)
        for payment in paid.select_related("order").iterator(chunk_size=CHUNK):
            if payment.gateway_payment_id in self.seen:
                continue
            try:  # it may be older there than here, or newer than the list
                yield from _compare_one(self.gateway, payment.gateway_payment_id, self.now)
            except NoSuchPayment:
                yield Difference(
                    kind=PAID_NOT_CHARGED,
                    order=payment.order.number,
                    gateway_id=payment.gateway_payment_id,
                    here=_payment_side(payment),
                )

    def _paid_without_payment(self) -> Iterator[Difference]:
        paid = Payment.objects.filter(
            order=OuterRef("pk"), status=PaymentStatus.PAID, is_surplus=False
        )
        orders = Order.objects.filter(status__in=PAID_ORDERS, placed_at__gte=self.since)
        orders = orders.exclude(total_minor=0)  # paid with nothing
        for order in orders.exclude(Exists(paid)).iterator(chunk_size=CHUNK):
            if order.number not in self.charged_orders:  # else that says it all
                yield Difference(
                    kind=PAID_NOT_CHARGED,
                    order=order.number,
                    gateway_id="",
                    here=Side(
                        state=order.status, amount_minor=order.total_minor, currency=order.currency
                    ),
                )

    def _sent_back_and_never_seen(self) -> Iterator[Difference]:
        settled = Refund.objects.filter(
            status=RefundStatus.SUCCEEDED,
            settled_at__gte=min(self.since, self.now - REFUND_MAY_FAIL),
        ).select_related("payment__order")
        for refund in settled.iterator(chunk_size=CHUNK):
            if refund.gateway_refund_id in self.seen:
                continue
            states = self._states_there(refund)
            if states - {RefundState.FAILED}:
                continue
            yield Difference(
                kind=REFUND_CAME_BACK if states else REFUND_HERE_ONLY,
                order=refund.payment.order.number,
                gateway_id=refund.gateway_refund_id or refund.payment.gateway_payment_id,
                here=_refund_side(refund),
            )

    def _disputed(self) -> Iterator[Difference]:
        """Disputes that were opened since, and those that are open here: a bank takes months."""
        seen: set[str] = set()
        for chunk in self._chunks(self.gateway.list_disputes_since(self.since - MARGIN)):
            seen.update(told.id for told in chunk)
            yield from _compare_disputes(chunk)
        still_open = Dispute.objects.filter(closed_at=None).exclude(gateway_dispute_id__in=seen)
        for dispute in still_open.select_related("payment"):
            with suppress(NoSuchPayment):
                told = self.gateway.disputes_of(dispute.payment.gateway_payment_id)
                yield from _compare_disputes(told)

    def _states_there(self, refund: Refund) -> set[RefundState]:
        """A refund may be older there than here: taken over, or long on its way."""
        try:
            theirs = self.gateway.refunds_of(refund.payment.gateway_payment_id)
        except NoSuchPayment:
            return set()  # not even its payment is there
        return {r.state for r in theirs if _is_same(refund, r)}


def _compare_one(gateway: Gateway, gateway_id: str, now: datetime) -> Iterator[Difference]:
    chunk = [gateway.retrieve(gateway_id)]
    return _compare_payments(chunk, Ours.among(chunk), now)


def _compare_payments(
    chunk: list[GatewayPayment], books: Ours, now: datetime
) -> Iterator[Difference]:
    for theirs in chunk:
        if payment := books.payments.get(theirs.id):
            order, kind = payment.order, _kind_of_known(payment, theirs, now)
        elif named := books.orders.get(theirs.id):
            order, kind = named, _kind_of_unstored(named, theirs, now)
        else:
            continue
        if kind:
            yield Difference(
                kind=kind,
                order=order.number,
                gateway_id=theirs.id,
                here=_payment_side(payment) if payment else None,
                there=_side(theirs.state.value, theirs),
            )


def _kind_of_known(payment: Payment, theirs: GatewayPayment, now: datetime) -> str:
    is_paid = payment.status == PaymentStatus.PAID
    if theirs.state is GatewayState.PAID:
        if is_paid:
            if (payment.taken_minor, payment.currency) != (theirs.amount_minor, theirs.currency):
                return WRONG_AMOUNT
            counts = payment.is_surplus or payment.order.status in PAID_ORDERS
            return "" if counts else CHARGED_NOT_PAID
        if payment.status in LIVE and payment.created_at > now - UNDER_WAY:
            return ""
        return CHARGED_NOT_PAID if _is_its_price(payment.order, theirs) else WRONG_AMOUNT
    if is_paid:
        return PAID_NOT_CHARGED
    is_awaited = payment.status in LIVE and payment.order.status in UNSETTLED
    return ORPHAN if theirs.state in CHARGEABLE and not is_awaited else ""


def _kind_of_unstored(order: Order, theirs: GatewayPayment, now: datetime) -> str:
    """A payment for one of our orders, under an id that we never stored."""
    if theirs.state is GatewayState.PAID:
        return CHARGED_NOT_PAID if _is_its_price(order, theirs) else WRONG_AMOUNT
    if theirs.state not in CHARGEABLE:
        return ""
    being_opened = order.payments.filter(
        status__in=LIVE, gateway_payment_id="", created_at__gt=now - KEY_LIFE
    )
    is_awaited = order.status in UNSETTLED and being_opened.exists()
    return "" if is_awaited else ORPHAN


def _is_its_price(order: Order, theirs: GatewayPayment) -> bool:
    """What is more than the price can be sent back; less does not pay the order."""
    return theirs.currency == order.currency and theirs.amount_minor >= order.total_minor


def _compare_refunds(chunk: list[GatewayRefund], now: datetime) -> Iterator[Difference]:
    of_ids = Payment.objects.filter(gateway_payment_id__in={theirs.payment_id for theirs in chunk})
    payments = {
        payment.gateway_payment_id: payment
        for payment in of_ids.select_related("order").prefetch_related("refunds")
    }
    for theirs in chunk:
        payment = payments.get(theirs.payment_id)
        if payment is None:
            continue  # of a charge that is not ours, or that is reported itself
        ours = next((r for r in payment.refunds.all() if _is_same(r, theirs)), None)
        if kind := _kind_of_refund(ours, theirs, now):
            yield Difference(
                kind=kind,
                order=payment.order.number,
                gateway_id=theirs.id,
                here=_refund_side(ours) if ours else None,
                there=_side(theirs.state.value, theirs),
            )


def _kind_of_refund(ours: Refund | None, theirs: GatewayRefund, now: datetime) -> str:
    if ours is not None and ours.status == RefundStatus.SUCCEEDED:
        same = (ours.amount_minor, ours.payment.currency) == (theirs.amount_minor, theirs.currency)
        return "" if same else REFUND_DIFFERS
    if theirs.state is not RefundState.SUCCEEDED:
        return ""
    is_under_way = (
        ours is not None and ours.status in UNSETTLED_REFUNDS and ours.created_at > now - UNDER_WAY
    )
    return "" if is_under_way else REFUND_THERE_ONLY


def _compare_disputes(chunk: list[GatewayDispute]) -> Iterator[Difference]:
    ids = {told.payment_id for told in chunk}
    payments = {
        payment.gateway_payment_id: payment
        for payment in Payment.objects.filter(gateway_payment_id__in=ids)
        .select_related("order")
        .prefetch_related("disputes")
    }
    for told in chunk:
        payment = payments.get(told.payment_id)
        if payment is None:
            continue  # of a charge that is not ours, or that is reported itself
        ours = {one.gateway_dispute_id: one for one in payment.disputes.all()}.get(told.id)
        if ours is None or ours.status != told.state.value:
            yield Difference(
                kind=DISPUTED_THERE,
                order=payment.order.number,
                gateway_id=told.payment_id,
                here=Side(state=ours.status, amount_minor=ours.amount_minor, currency=ours.currency)
                if ours
                else None,
                there=Side(
                    state=told.state.value, amount_minor=told.amount_minor, currency=told.currency
                ),
            )


def _is_same(ours: Refund, theirs: GatewayRefund) -> bool:
    if ours.gateway_refund_id:
        return ours.gateway_refund_id == theirs.id
    return bool(theirs.refund_key) and ours.key == theirs.refund_key


def _side(state: str, theirs: GatewayPayment | GatewayRefund) -> Side:
    return Side(state=state, amount_minor=theirs.amount_minor, currency=theirs.currency)


def _payment_side(ours: Payment) -> Side:
    amount_minor = ours.taken_minor or ours.amount_minor
    return Side(state=ours.status, amount_minor=amount_minor, currency=ours.currency)


def _refund_side(ours: Refund) -> Side:
    return Side(state=ours.status, amount_minor=ours.amount_minor, currency=ours.payment.currency)


def _repaired(gateway: Gateway, difference: Difference, clock: Clock) -> str:
    """What was done about it; empty leaves it to a person."""
    try:
        done = _REPAIRS[difference.kind](gateway, difference, clock)
    except GatewayError as error:
        return f"not now: {type(error).__name__}"
    if done:
        logger.info(
            "Reconciliation repaired a difference",
            extra={"order": difference.order, "payment": difference.gateway_id, "action": done},
        )
    return done


def _record(gateway: Gateway, difference: Difference, clock: Clock) -> str:
    """A charge for its own order, through the same door as every other."""
    theirs = gateway.retrieve(difference.gateway_id)
    order = _order_of(theirs)
    if theirs.state is not GatewayState.PAID or order is None or not _is_its_price(order, theirs):
        return ""
    if order.status == OrderStatus.CANCELLED and gateway.refunds_of(theirs.id):
        return ""  # it would revive the order, and somebody has seen to it there
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order.pk)
        payment = _payment_for(order, theirs, now=clock())
        if payment is None or not record_success(
            payment, theirs, now=clock(), reason="Found by reconciliation"
        ):
            return ""
    _take_over_all(payment, gateway, clock)
    return "recorded"


def _order_of(theirs: GatewayPayment) -> Order | None:
    """The order that may be paid by it. None where its id is stored with an order, and it names
    another one."""
    known = Payment.objects.filter(gateway_payment_id=theirs.id).select_related("order").first()
    if known is None:
        return orders_named([theirs.order]).first()
    return known.order if could_name(theirs.order, known.order) else None


def _payment_for(order: Order, theirs: GatewayPayment, *, now: datetime) -> Payment | None:
    """The row of this charge: its own, the order's current round if that has none, or a new one."""
    known = Payment.objects.filter(gateway_payment_id=theirs.id).first()
    if known is not None:
        return known if known.order_id == order.pk else None
    new = {
        "amount_minor": order.total_minor,
        "currency": order.currency,
        "payment_method": order.payment_method,
        "installation": theirs.order.installation,
        "status": PaymentStatus.UNKNOWN,
        "created_at": now,
    }
    # The worker looks for this round too, and must not begin another one beside it.
    current, _ = Payment.objects.get_or_create(order=order, round=order.payment_round, defaults=new)
    attached = Payment.objects.filter(pk=current.pk, gateway_payment_id="", status__in=LIVE).update(
        gateway_payment_id=theirs.id
    )
    if attached:
        current.refresh_from_db()
        return current
    latest: int = order.payments.aggregate(latest=Max("round"))["latest"]
    return Payment.objects.create(
        order=order, round=latest + 1, gateway_payment_id=theirs.id, **new
    )


def _cancel(gateway: Gateway, difference: Difference, clock: Clock) -> str:
    gateway_id = difference.gateway_id
    # Somebody may have thought about the question for long.
    if not any(d.kind == ORPHAN for d in _compare_one(gateway, gateway_id, clock())):
        return ""
    payment = Payment.objects.filter(gateway_payment_id=gateway_id).first()
    if payment is not None:
        answer = close(Calls.begin(gateway, clock), payment)
    else:
        answer = gateway.cancel(gateway_id, idempotency_key=f"reconcile-{gateway_id}")
    if answer.state is GatewayState.PAID:  # at the last moment
        return _record(gateway, difference, clock)
    return "cancelled there" if answer.state is GatewayState.CANCELLED else ""


def _take_over(gateway: Gateway, difference: Difference, clock: Clock) -> str:
    for payment in Payment.objects.filter(
        order__number=difference.order, status=PaymentStatus.PAID
    ):
        _take_over_all(payment, gateway, clock)
    if found := Refund.objects.filter(gateway_refund_id=difference.gateway_id).first():
        return "noted" if found.status == RefundStatus.FAILED else "taken over"
    return _hand_to_the_worker(difference, now=clock())


def _take_over_all(payment: Payment, gateway: Gateway, clock: Clock) -> None:
    payment.refresh_from_db()
    take_over_refunds(payment, Calls.begin(gateway, clock))


def _note_disputes(gateway: Gateway, difference: Difference, clock: Clock) -> str:
    payment = Payment.objects.select_related("order").get(gateway_payment_id=difference.gateway_id)
    record_disputes(payment, Calls.begin(gateway, clock))
    disputes_were_recorded(payment, now=clock())
    return "noted"


def _hand_to_the_worker(difference: Difference, *, now: datetime) -> str:
    """Asked for here, sent back there, and nobody has noted it: the worker finds it by its key."""
    sent_before = Refund.objects.filter(
        payment__order__number=difference.order, status__in=UNSETTLED_REFUNDS, tries__gt=0
    )
    order = Order.objects.filter(payments__refunds__in=sent_before).first()
    if order is None:
        return ""
    told = order.outbox_messages.filter(kind=OutboxMessage.Kind.REFUND, published_at=None)
    if not told.exists():
        ask_later(order.pk, OutboxMessage.Kind.REFUND, pause=timedelta(0), now=now)
    return "handed to the worker"


# What is safe to do, in this order; all else is for a person.
_REPAIRS: dict[str, Callable[[Gateway, Difference, Clock], str]] = {
    CHARGED_NOT_PAID: _record,
    ORPHAN: _cancel,
    REFUND_THERE_ONLY: _take_over,
    REFUND_CAME_BACK: _take_over,
    DISPUTED_THERE: _note_disputes,
}


def since_when(text: str, now: datetime) -> datetime:
    """`36h`, `14d` or `2026-11-01`. UnreadableSince when it is none, or not past."""
    try:
        if match := re.fullmatch(r"(\d{1,6})([hd])", text, re.ASCII):
            since = now - timedelta(hours=int(match[1]) * (24 if match[2] == "d" else 1))
        else:
            day = datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007 - made aware below
            since = timezone.make_aware(day)
        if EARLIEST <= since < now:
            return since
    except (ValueError, OverflowError):
        pass
    raise UnreadableSince(
        f"--since {text} is neither 36h nor 14d nor 2026-11-01, or not in the past."
    )


def consent(terminal: OutputWrapper, *, repair: bool, yes: bool) -> Callable[[Report], bool]:
    def ask(report: Report) -> bool:
        safe = sum(map(is_repairable, report.found))
        lines = [*table(report), f"Repair {safe} of {len(report.found)} differences? [y/N] "]
        terminal.write("\n".join(lines), style_func=str, ending="")
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    return ask if repair and not yes else lambda report: repair


def as_json(report: Report, *, since: datetime) -> str:
    remaining = {difference.key for difference in report.remaining}
    rows = [
        asdict(difference)
        | {"repair": report.repairs.get(difference.key, ""), "remains": difference.key in remaining}
        for difference in report.found
    ]
    told: dict[str, object] = {
        "installation": installation_id(),
        "since": since.isoformat(),
        "differences": rows,
        "remaining": len(remaining),
        "strangers": report.strangers.count,
    }
    if report.strangers.keeps:
        told["strangers_listed"] = [
            asdict(theirs.order)
            | {"gateway_id": theirs.id, "there": asdict(_side(theirs.state.value, theirs))}
            for theirs in report.strangers.payments
        ]
    return json.dumps(told, indent=2)


def as_table(report: Report, *, since: datetime) -> str:
    strangers = report.strangers
    lines = [*table(report), f"{len(report.found)} differences since {since:%Y-%m-%d %H:%M}."]
    if any(difference.kind == LOST_ORDER for difference in report.remaining):
        lines.append(
            "Lost orders are listed in the admin, under “Lost orders”, until a person has seen to "
            "them; see docs/runbook.md, “Lost orders and strangers”."
        )
    if strangers.keeps:
        lines += strangers_table(strangers)
    if strangers.count:
        lines.append(
            f"{strangers.count} payments on the account are strangers': they do not name this "
            "installation, and are left alone."
        )
    return "\n".join(lines)


def strangers_table(strangers: Strangers) -> list[str]:
    rows = [("at the gateway", "there", "order", "reference", "installation")]
    for theirs in strangers.payments:
        order, side = theirs.order, str(_side(theirs.state.value, theirs))
        number, reference = printable(order.number) or "-", printable(order.reference) or "-"
        rows.append((theirs.id, side, number, reference, printable(order.installation) or "-"))
    return aligned(rows) if strangers.payments else []


def table(report: Report) -> list[str]:
    rows = [("difference", "order", "at the gateway", "here", "there", "repair")]
    remaining = {difference.key for difference in report.remaining}
    for difference in report.found:
        here, there = str(difference.here or "unknown"), str(difference.there or "unknown")
        done = report.repairs.get(difference.key, "")
        if done and difference.key in remaining:
            done += "; remains"
        order = f"{difference.order} {difference.reference}".strip()
        rows.append((difference.kind, order, difference.gateway_id, here, there, done))
    return aligned(rows) if report.found else []
