"""Compares our books with the gateway's: charge by charge, refund by refund, dispute by dispute.

The gateway's lists are read once, newest first, and compared page by page, with a constant number
of statements each. What differs stays in memory, and one byte for each payment and refund. One more
call is made for each difference that may be gone by the time it is seen.

What is still under way on either side is no difference. It is under way for as long as a worker
may be at it by the clock, not for as long as its row says so: what never ends is found.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import TypeVar

from django.db.models import Exists, Max, Min, OuterRef
from moneyed import CurrencyDoesNotExist

from checkout.catalogue.money import money, show_money
from checkout.orders.models import Order
from checkout.orders.states import PAID_FOR, UNSETTLED
from checkout.runtime.terminal import Progress
from payments.books.lost_orders import not_seen_to
from payments.books.ownership import Ownership
from payments.gateways.base import (
    Gateway,
    GatewayDispute,
    GatewayPayment,
    GatewayRefund,
    GatewayState,
    NoSuchPayment,
    RefundState,
)
from payments.gateways.load import Gateways
from payments.models import Dispute, Payment, Refund
from payments.states import (
    LIVE,
    UNSETTLED_REFUNDS,
    CaptureStatus,
    PaymentStatus,
    RefundStatus,
)

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

# What is younger may be on its way through the worker, or on its way to us as a gateway's event.
UNDER_WAY = timedelta(hours=1)

# Clocks differ, and a payment is opened there before its outcome is stored here.
MARGIN = timedelta(hours=1)

# The size of a page of the gateway's list; see the adapter.
CHUNK = 100

# A payment in one of these states may still be charged without anybody here knowing.
CHARGEABLE = {
    GatewayState.OPEN,
    GatewayState.NEEDS_ACTION,
    GatewayState.PROMISED,
    GatewayState.AUTHORISED,
    GatewayState.PROCESSING,
}

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
    gateway: str = ""  # the name of the gateway that it is about

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.order, self.gateway_id


def differences(
    gateways: Gateways, *, since: datetime, now: datetime, progress: Progress = lambda count: None
) -> Iterator[Difference]:
    return Comparison(gateways, since=since, now=now, progress=progress).differences()


class Comparison:
    """One pass over our books and those of all gateways. The figures and lists are complete when
    `differences` is read."""

    def __init__(
        self,
        gateways: Gateways,
        *,
        since: datetime,
        now: datetime,
        progress: Progress = lambda count: None,
        lists_strangers: bool = False,
    ) -> None:
        self.compared = 0  # the gateway's payments, without those of strangers
        self.charges = 0  # those of them that were charged for orders which are here
        self.lost: list[tuple[str, GatewayPayment]] = []  # each with the gateway's name
        # Payments of another installation or program on the account: nothing is done about them.
        self.stranger_count = 0
        self.strangers: list[GatewayPayment] | None = [] if lists_strangers else None
        self._gateways = gateways
        self._since = since
        self._now = now
        self._progress = progress
        self._seen_payments = _Seen(Payment)
        self._seen_refunds = _Seen(Refund)
        self._charged_orders: set[str] = set()

    def differences(self) -> Iterator[Difference]:
        for name, gateway in self._gateways.items():
            for difference in self._at(_Asked(name, gateway, self._now)):
                yield replace(difference, gateway=name)
        yield from self._paid_without_payment()

    def _at(self, asked: "_Asked") -> Iterator[Difference]:
        lists = asked.gateway.abilities.lists  # else each one that is stored here is asked about
        if lists:
            yield from self._payments(asked)
        yield from self._paid_and_never_seen(asked)
        if lists:
            yield from self._refunds(asked)
        yield from self._sent_back_and_never_seen(asked)
        yield from self._disputes(asked)

    def _payments(self, asked: "_Asked") -> Iterator[Difference]:
        for chunk in self._chunks(asked.gateway.list_since(self._since - MARGIN)):
            ownership = Ownership.of(chunk)
            self._count(chunk, ownership)
            for suspected in _compare_payments(asked.gateway, chunk, ownership, self._now):
                yield from self._confirmed(asked, suspected)
            for theirs in not_seen_to(ownership.lost):
                self.lost.append((asked.name, theirs))
                yield Difference(
                    kind=LOST_ORDER,
                    order=theirs.order.number,
                    reference=theirs.order.reference,
                    gateway_id=theirs.id,
                    there=side_there(theirs),
                )

    def _count(self, chunk: list[GatewayPayment], ownership: Ownership) -> None:
        self.compared += len(chunk) - len(ownership.strangers)
        here = {*ownership.payments, *ownership.orders}
        self.charges += sum(
            theirs.state is GatewayState.PAID and theirs.id in here for theirs in chunk
        )
        self.stranger_count += len(ownership.strangers)
        if self.strangers is not None:
            self.strangers += ownership.strangers
        for payment in ownership.payments.values():
            self._seen_payments.add(payment.pk)

    def _chunks(self, items: Iterable[T]) -> Iterator[list[T]]:
        iterator = iter(items)
        while chunk := list(islice(iterator, CHUNK)):
            yield chunk
            self._progress(self.compared)

    def _confirmed(self, asked: "_Asked", suspected: Difference) -> Iterable[Difference]:
        """The list is older than our rows: what it showed as unpaid may have moved since."""
        if suspected.kind == CHARGED_NOT_PAID:
            self._charged_orders.add(suspected.order)
        if suspected.kind == ORPHAN and suspected.gateway_id in asked.young:
            return []
        if suspected.kind in {ORPHAN, PAID_NOT_CHARGED}:
            return compare_one(asked.gateway, suspected.gateway_id, self._now)
        return [suspected]

    def _paid_and_never_seen(self, asked: "_Asked") -> Iterator[Difference]:
        paid = Payment.objects.filter(
            gateway=asked.name, status=PaymentStatus.PAID, created_at__gte=self._since
        )
        for payment in paid.select_related("order").iterator(chunk_size=CHUNK):
            if payment.pk in self._seen_payments:
                continue
            try:  # it may be older there than here, or newer than the list
                yield from compare_one(asked.gateway, payment.gateway_payment_id, self._now)
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
        orders = Order.objects.filter(status__in=sorted(PAID_FOR), placed_at__gte=self._since)
        orders = orders.exclude(total_minor=0)  # paid with nothing
        for order in orders.exclude(Exists(paid)).iterator(chunk_size=CHUNK):
            if order.number not in self._charged_orders:  # else that says it all
                here = Side(
                    state=order.status, amount_minor=order.total_minor, currency=order.currency
                )
                yield Difference(
                    kind=PAID_NOT_CHARGED, order=order.number, gateway_id="", here=here
                )

    def _refunds(self, asked: "_Asked") -> Iterator[Difference]:
        made_since = min(self._since, asked.refunds_return_since) - MARGIN
        for chunk in self._chunks(asked.gateway.list_refunds_since(made_since)):
            sent = [refund for refund in chunk if refund.state is not RefundState.FAILED]
            payments = _payments_of(sent, "refunds")
            for theirs in sent:
                payment = payments.get(theirs.payment_id)
                if payment is None:
                    continue  # its charge is not ours, or is reported itself
                ours = next((r for r in payment.refunds.all() if _is_same(r, theirs)), None)
                if ours is not None:
                    self._seen_refunds.add(ours.pk)
                if kind := _kind_of_refund(ours, theirs, self._now):
                    yield Difference(
                        kind=kind,
                        order=payment.order.number,
                        gateway_id=theirs.id,
                        here=_side_here(ours, payment.currency) if ours else None,
                        there=side_there(theirs),
                    )

    def _sent_back_and_never_seen(self, asked: "_Asked") -> Iterator[Difference]:
        settled = Refund.objects.filter(
            payment__gateway=asked.name,
            status=RefundStatus.SUCCEEDED,
            is_release=False,
            settled_at__gte=min(self._since, asked.refunds_return_since),
        ).select_related("payment__order")
        for refund in settled.iterator(chunk_size=CHUNK):
            if refund.pk in self._seen_refunds:
                continue
            states = _states_there(asked.gateway, refund)
            if states - {RefundState.FAILED}:
                continue
            yield Difference(
                kind=REFUND_CAME_BACK if states else REFUND_HERE_ONLY,
                order=refund.payment.order.number,
                gateway_id=refund.gateway_refund_id or refund.payment.gateway_payment_id,
                here=_side_here(refund, refund.payment.currency),
            )

    def _disputes(self, asked: "_Asked") -> Iterator[Difference]:
        """Disputes that were opened since, and those that are open here: a bank takes months."""
        seen: set[str] = set()
        lists = asked.gateway.abilities.lists
        listed = asked.gateway.list_disputes_since(self._since - MARGIN) if lists else ()
        for chunk in self._chunks(listed):
            seen.update(dispute.id for dispute in chunk)
            yield from _compare_disputes(chunk, self._now)
        still_open = Dispute.objects.filter(closed_at=None, payment__gateway=asked.name)
        still_open = still_open.exclude(gateway_dispute_id__in=seen)
        for dispute in still_open.select_related("payment"):
            with suppress(NoSuchPayment):
                of_payment = asked.gateway.disputes_of(dispute.payment.gateway_payment_id)
                yield from _compare_disputes(of_payment, self._now)


@dataclass(frozen=True)
class _Asked:
    """The gateway whose books are read just now."""

    name: str
    gateway: Gateway
    now: datetime

    @property
    def refunds_return_since(self) -> datetime:
        return self.now - self.gateway.abilities.refunds_return_within

    @cached_property
    def young(self) -> set[str]:
        """Read at the first suspicion: after the page that raised it, so nothing newer is amiss."""
        return {theirs.id for theirs in self.gateway.list_since(self.now - UNDER_WAY)}


def _states_there(gateway: Gateway, refund: Refund) -> set[RefundState]:
    """A refund may be older there than here: taken over, or long on its way."""
    try:
        theirs = gateway.refunds_of(refund.payment.gateway_payment_id)
    except NoSuchPayment:
        return set()  # not even its payment is there
    return {r.state for r in theirs if _is_same(refund, r)}


class _Seen:
    """Which rows of a table were met, in one byte for each. A row that is added later was not."""

    def __init__(self, table: type[Payment] | type[Refund]) -> None:
        span = table.objects.aggregate(first=Min("pk"), last=Max("pk"))
        self._first = span["first"] or 0
        self._marks = bytearray((span["last"] or 0) - self._first + 1)

    def add(self, pk: int) -> None:
        if pk - self._first < len(self._marks):
            self._marks[pk - self._first] = True

    def __contains__(self, pk: int) -> bool:
        return pk - self._first < len(self._marks) and bool(self._marks[pk - self._first])


def compare_one(gateway: Gateway, gateway_id: str, now: datetime) -> Iterator[Difference]:
    chunk = [gateway.retrieve(gateway_id)]
    return _compare_payments(gateway, chunk, Ownership.of(chunk), now)


def _compare_payments(
    gateway: Gateway, chunk: list[GatewayPayment], ownership: Ownership, now: datetime
) -> Iterator[Difference]:
    for theirs in chunk:
        if payment := ownership.payments.get(theirs.id):
            order, kind = payment.order, _kind_of_known(payment, theirs, now)
        elif named := ownership.orders.get(theirs.id):
            order, kind = named, _kind_of_unstored(gateway, named, theirs, now)
        else:
            continue
        if kind:
            yield Difference(
                kind=kind,
                order=order.number,
                gateway_id=theirs.id,
                here=_payment_side(payment) if payment else None,
                there=side_there(theirs),
            )


def _kind_of_known(payment: Payment, theirs: GatewayPayment, now: datetime) -> str:
    is_paid = payment.status == PaymentStatus.PAID
    if theirs.charged_minor:
        if is_paid:
            if (payment.taken_minor, payment.currency) != (theirs.charged_minor, theirs.currency):
                return "" if _is_being_charged(payment, now) else WRONG_AMOUNT
            counts = payment.is_surplus or payment.order.status in PAID_FOR
            return "" if counts else CHARGED_NOT_PAID
        if payment.status in LIVE and payment.created_at > now - UNDER_WAY:
            return ""
        is_enough = payment.captures_later or pays(payment.order, theirs)
        return CHARGED_NOT_PAID if is_enough else WRONG_AMOUNT
    if is_paid:
        return PAID_NOT_CHARGED
    is_awaited = payment.status in LIVE and payment.order.status in UNSETTLED
    return ORPHAN if theirs.state in CHARGEABLE and not is_awaited else ""


def _is_being_charged(payment: Payment, now: datetime) -> bool:
    """Whether a parcel of it is charged just now."""
    begun = payment.captures.filter(status=CaptureStatus.REQUESTED)
    return begun.filter(created_at__gt=now - UNDER_WAY).exists()


def _kind_of_unstored(gateway: Gateway, order: Order, theirs: GatewayPayment, now: datetime) -> str:
    """The payment is for one of our orders, under an id that we never stored."""
    if theirs.state is GatewayState.PAID:
        return CHARGED_NOT_PAID if pays(order, theirs) else WRONG_AMOUNT
    if theirs.state not in CHARGEABLE:
        return ""
    # A repeated call to open finds what the first one opened for as long as its key is known there.
    known_since = now - gateway.abilities.remembers_keys_for
    being_opened = order.payments.filter(
        status__in=LIVE, gateway_payment_id="", created_at__gt=known_since
    )
    is_awaited = order.status in UNSETTLED and being_opened.exists()
    return "" if is_awaited else ORPHAN


def pays(order: Order, theirs: GatewayPayment) -> bool:
    """What is more than the price can be sent back; less does not pay the order."""
    return theirs.currency == order.currency and theirs.amount_minor >= order.total_minor


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


def _compare_disputes(chunk: list[GatewayDispute], now: datetime) -> Iterator[Difference]:
    payments = _payments_of(chunk, "disputes")
    for theirs in chunk:
        payment = payments.get(theirs.payment_id)
        if payment is None or theirs.opened_at > now - UNDER_WAY:
            continue  # its charge is not ours or is reported itself, or its event is on its way
        known = {dispute.gateway_dispute_id: dispute for dispute in payment.disputes.all()}
        ours = known.get(theirs.id)
        if ours is None or ours.status != theirs.state.value:
            yield Difference(
                kind=DISPUTED_THERE,
                order=payment.order.number,
                gateway_id=theirs.payment_id,
                here=_side_here(ours, ours.currency) if ours else None,
                there=side_there(theirs),
            )


def _payments_of(
    chunk: list[GatewayRefund] | list[GatewayDispute], related: str
) -> dict[str, Payment]:
    of_ids = Payment.objects.filter(gateway_payment_id__in={theirs.payment_id for theirs in chunk})
    payments = of_ids.select_related("order").prefetch_related(related)
    return {payment.gateway_payment_id: payment for payment in payments}


def _is_same(ours: Refund, theirs: GatewayRefund) -> bool:
    if ours.gateway_refund_id:
        return ours.gateway_refund_id == theirs.id
    return bool(theirs.refund_key) and ours.key == theirs.refund_key


def side_there(theirs: GatewayPayment | GatewayRefund | GatewayDispute) -> Side:
    return Side(
        state=theirs.state.value, amount_minor=theirs.amount_minor, currency=theirs.currency
    )


def _payment_side(ours: Payment) -> Side:
    amount_minor = ours.taken_minor or ours.amount_minor
    return Side(state=ours.status, amount_minor=amount_minor, currency=ours.currency)


def _side_here(ours: Refund | Dispute, currency: str) -> Side:
    return Side(state=ours.status, amount_minor=ours.amount_minor, currency=currency)
