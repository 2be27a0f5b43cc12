"""What `after_restore` does. Numbers are moved and forms are put out of use first, since customers
go on ordering; then the gateways' books are taken over. Nothing is changed at a gateway.

Whatever is done here is done once: what a run has noted, moved or stored, the next one finds.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models.functions import Now

from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.pausing import pause_payments
from checkout.orders.queue.sqs import QUEUE_ERRORS, PaymentsQueue, QueueMissing
from checkout.orders.restoring.messages import lost_orders_in
from checkout.orders.restoring.numbers import (
    InvoiceNumber,
    move_order_numbers,
    serial_of,
    skip_invoices,
)
from checkout.orders.restoring.restores import note_restore
from checkout.runtime.terminal import Progress
from payments.books.compare import MARGIN
from payments.books.lost_orders import note_lost, note_lost_payments
from payments.books.ownership import Ownership
from payments.gateways.base import GatewayPayment
from payments.gateways.load import Gateways
from payments.models import LostOrder, Payment
from payments.restoring.take_over import (
    Round,
    Taken,
    chunks,
    take_over_captures,
    take_over_disputes,
    take_over_payments,
    take_over_refunds,
)

PAUSE_REASON = "A backup was restored"

# Calls that were under way when payments were paused are over by then: a lease is shorter.
LEASES_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the operator has asked for."""

    since: datetime
    by: str
    noted_before: str = ""  # when and by whom; empty where no earlier run has noted this restore
    dry_run: bool
    last_order: str = ""
    last_invoices: tuple[InvoiceNumber, ...] = ()


@dataclass(kw_only=True)
class Report:
    paused: bool = False  # by this run
    put_out_of_use: dict[str, int] = field(default_factory=dict)
    order_numbers_from: int | None = None  # None: no order's number could come twice
    invoice_gaps: list[str] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    newly_lost: int = 0
    lost: list[LostOrder] = field(default_factory=list)  # those that a person must look at
    not_asked: dict[str, str] = field(default_factory=dict)
    stranger_count: int = 0

    @property
    def changed(self) -> bool:
        done = [one for one in self.taken if not one.problem]
        moved = self.order_numbers_from is not None or self.invoice_gaps
        return bool(self.paused or self.put_out_of_use or moved or done or self.newly_lost)

    @property
    def problems(self) -> list[Taken]:
        return [one for one in self.taken if one.problem]

    @property
    def is_for_a_person(self) -> bool:
        return bool(self.lost or self.problems or self.not_asked)


def after_restore(
    wish: Wish,
    gateways: Gateways,
    *,
    clock: Callable[[], datetime],
    progress: Progress = lambda count: None,
) -> Report:
    report = Report()
    if not wish.noted_before and not wish.dry_run:
        report.paused = pause_payments(reason=PAUSE_REASON, by=wish.by, now=clock())
        _wait_for_calls()
        report.invoice_gaps = _skip_invoices(wish, now=clock())
        report.put_out_of_use = note_restore(since=wish.since, by=wish.by, now=clock())
    elif not wish.dry_run:
        report.invoice_gaps = _skip_invoices(wish, now=clock())  # the operator knows more by now
    listed = _Listed(wish, gateways, progress)
    in_queue = _lost_in_the_queue(report)
    _move_numbers(report, wish, [*listed.lost_numbers, *(one.number for one in in_queue)])
    for asked, payments in listed.of_each(clock):
        for taken in _take_over(asked, payments):
            report.taken.append(taken)
            progress(len(report.taken))
    _name_lost(report, wish, listed, in_queue, now=clock())
    report.stranger_count = listed.stranger_count
    return report


def _wait_for_calls() -> None:
    """A worker that had begun with a payment before the pause finishes its call."""
    until = time.monotonic() + LEASES_SECONDS
    while Payment.objects.filter(lease_until__gt=Now()).exists() and time.monotonic() < until:
        time.sleep(0.5)


class _Listed:
    """The payments that each gateway tells since the moment to which the database went back."""

    def __init__(self, wish: Wish, gateways: Gateways, progress: Progress) -> None:
        self._wish = wish
        self._gateways = gateways
        self._payments: dict[str, list[GatewayPayment]] = {}
        self.lost: list[tuple[str, GatewayPayment]] = []
        self.stranger_count = 0
        count = 0
        for name, gateway in gateways.items():
            ours = self._payments[name] = []
            lists = gateway.abilities.lists
            for chunk in chunks(gateway.list_since(wish.since - MARGIN) if lists else ()):
                ownership = Ownership.of(chunk)
                self.lost += [(name, theirs) for theirs in ownership.lost]
                self.stranger_count += len(ownership.strangers)
                ids = {*ownership.payments, *ownership.orders}
                ours += [theirs for theirs in chunk if theirs.id in ids]
                count += len(chunk)
                progress(count)

    @property
    def lost_numbers(self) -> Iterator[str]:
        return (theirs.order.number for _, theirs in self.lost)

    def of_each(
        self, clock: Callable[[], datetime]
    ) -> Iterator[tuple[Round, list[GatewayPayment]]]:
        for name, gateway in self._gateways.items():
            asked = Round(
                name=name,
                gateway=gateway,
                since=self._wish.since,
                clock=clock,
                dry_run=self._wish.dry_run,
            )
            yield asked, self._payments[name]


def _lost_in_the_queue(report: Report) -> list[OrderIdentity]:
    try:
        return list(lost_orders_in(PaymentsQueue.connect()))
    except (QueueMissing, *QUEUE_ERRORS) as error:
        report.not_asked["queue"] = type(error).__name__
        return []


def _move_numbers(report: Report, wish: Wish, lost: Iterable[str]) -> None:
    """Past what is lost, as this run, an earlier one or a worker found out or the operator says."""
    known = LostOrder.objects.exclude(number="").values_list("number", flat=True)
    seen = {number for number in [*lost, *known, wish.last_order] if serial_of(number)}
    report.order_numbers_from = move_order_numbers(seen, dry_run=wish.dry_run)


def _skip_invoices(wish: Wish, *, now: datetime) -> list[str]:
    gaps = [skip_invoices(number, by=wish.by, now=now) for number in wish.last_invoices]
    return [str(gap) for gap in gaps if gap]


def _take_over(asked: Round, payments: list[GatewayPayment]) -> Iterator[Taken]:
    yield from take_over_payments(asked, payments)
    yield from take_over_captures(asked)
    if asked.gateway.abilities.lists:
        yield from take_over_refunds(asked)
        yield from take_over_disputes(asked)


def _name_lost(
    report: Report, wish: Wish, listed: _Listed, in_queue: list[OrderIdentity], *, now: datetime
) -> None:
    before = LostOrder.objects.count()
    if not wish.dry_run:
        note_lost_payments(reversed(listed.lost), now=now)
        for order in in_queue:
            note_lost(order, now=now)
        report.newly_lost = LostOrder.objects.count() - before
        report.lost = list(LostOrder.objects.filter(seen_to_at=None).order_by("id"))
        return
    known = {lost.gateway_payment_id: lost for lost in LostOrder.objects.all()}
    new = [_as_noted(name, theirs) for name, theirs in listed.lost if theirs.id not in known]
    report.newly_lost = len(new)
    report.lost = [lost for lost in known.values() if lost.seen_to_at is None] + new


def _as_noted(gateway: str, theirs: GatewayPayment) -> LostOrder:
    return LostOrder(
        number=theirs.order.number,
        reference=theirs.order.reference,
        gateway=gateway,
        gateway_payment_id=theirs.id,
        state=theirs.state.value,
        amount_minor=theirs.amount_minor,
        currency=theirs.currency,
        opened_at=theirs.opened_at,
    )
