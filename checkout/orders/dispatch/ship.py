"""Sending a parcel, once for each key, and taking that back for a mistake."""

from datetime import datetime, timedelta
from urllib.parse import quote

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from checkout.catalogue.models import DeliveryMethod
from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.dispatch.call_off import call_off
from checkout.orders.dispatch.pieces import Pieces, in_words, move_pieces, record_dispatch_status
from checkout.orders.dispatch.to_send import lines_to_send
from checkout.orders.history import note_staff
from checkout.orders.mail.enqueue import queue_mail
from checkout.orders.models import (
    Mail,
    Order,
    OutboxMessage,
    Shipment,
    ShipmentLine,
    WebhookKind,
)
from checkout.orders.outbox.enqueue import ask
from checkout.orders.states import PAID_FOR, SENDABLE, OrderStatus
from checkout.orders.sweep_schedule import next_sweep
from checkout.orders.webhooks.enqueue import queue_webhook_about_parcel

# A parcel that was marked as sent by mistake can be taken back for so long.
UNDO_WITHIN = timedelta(hours=1)


class CannotShip(ActionImpossible):
    """Nothing was sent. `code` says why to programs: unpaid, cancelled, refunded, held, lapsed,
    sent, too_many, one_parcel or key_reused."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def ship(
    order: Order,
    quantities: Pieces | None,
    *,
    key: str,
    by: str,
    now: datetime,
    tracking_number: str = "",
    method: str = "",
) -> Shipment:
    """Write down that a parcel was sent: `{line id: pieces}`, or all that is left of the order.

    Two requests under one key are one parcel. Raises `CannotShip`.
    """
    with transaction.atomic():
        current = Order.objects.select_for_update().get(pk=order.pk)
        if earlier := Shipment.objects.filter(key=key).first():
            _must_be_the_same(earlier, current, quantities, tracking_number)
            return earlier
        _must_be_sendable(current, now)
        pieces = _pieces(current, quantities)
        move_pieces(current.pk, shipped=pieces)
        shipment = _store(current, pieces, key, by, now, tracking_number, method)
        record_dispatch_status(current)
        queue_mail(Mail.Kind.SHIPPED, shipment.event, now=now)
        queue_webhook_about_parcel(WebhookKind.SHIPPED, shipment, shipment.event, now=now)
        if current.authorised_until is not None:
            _have_it_charged(current, now=now)
    return shipment


def _have_it_charged(order: Order, *, now: datetime) -> None:
    """Have the worker charge the parcel. The sweep asks again should the message be lost."""
    Order.objects.filter(pk=order.pk).update(sweep_at=next_sweep(now))
    ask(order.pk, OutboxMessage.Kind.CAPTURE, at=now)


def _must_be_the_same(
    earlier: Shipment, order: Order, quantities: Pieces | None, tracking_number: str
) -> None:
    sent = dict(earlier.lines.values_list("line_id", "quantity"))
    wanted = sent if quantities is None else {k: n for k, n in quantities.items() if n}
    is_same = earlier.order_id == order.pk and earlier.tracking_number == tracking_number
    if not is_same or wanted != sent:
        raise CannotShip(
            "key_reused",
            "This form was sent before with something else in it, and that parcel was written "
            "down. Open the page again to send another parcel.",
        )
    if earlier.undone_at:
        raise CannotShip(
            "key_reused",
            "This parcel was written down before and taken back as a mistake. Open the page again "
            "to send it.",
        )


def _must_be_sendable(order: Order, now: datetime) -> None:
    if order.is_held:
        raise CannotShip(
            "held",
            "Nothing was sent. The customer's bank disputes the charge or has taken the money "
            "back, so nothing may leave before that is decided.",
        )
    if order.authorised_until is not None and order.authorised_until <= now:
        raise CannotShip(
            "lapsed",
            "Nothing was sent. The customer's bank has kept the money for as long as it does, so "
            "this parcel could not be charged. The customer is asked to pay otherwise.",
        )
    if order.status in SENDABLE:
        return
    if order.status == OrderStatus.REFUNDED:
        raise CannotShip(
            "refunded", "Nothing was sent. The money of this order was sent back to its customer."
        )
    if order.status == OrderStatus.CANCELLED:
        raise CannotShip("cancelled", "Nothing was sent. This order was cancelled.")
    raise CannotShip("unpaid", "Nothing was sent. This order is not paid.")


def _pieces(order: Order, quantities: Pieces | None) -> dict[int, int]:
    left = {line.pk: line.to_send for line in lines_to_send(order)}
    if not left:
        raise CannotShip(
            "sent",
            "Nothing was sent. All of this order was sent before, or will not be sent at all.",
        )
    wanted = left if quantities is None else {k: n for k, n in quantities.items() if n}
    if not wanted:
        raise CannotShip("too_many", "Nothing was sent. Say how many pieces are in the parcel.")
    if any(not 0 < count <= left.get(line_id, 0) for line_id, count in wanted.items()):
        raise CannotShip(
            "too_many", "Nothing was sent. Fewer pieces than that are left to be sent."
        )
    if order.goes_in_one_parcel and order.authorised_until and wanted != left:
        raise CannotShip(
            "one_parcel",
            "Nothing was sent. The customer's bank lets this order be charged once only, so "
            "everything that is left has to go in one parcel. What you cannot send is taken off "
            "the order first, on the page of its payment.",
        )
    return wanted


def _store(
    order: Order,
    pieces: Pieces,
    key: str,
    by: str,
    now: datetime,
    tracking_number: str,
    method: str,
) -> Shipment:
    what = f"Parcel sent: {in_words(pieces, order.lines.all())}"
    shipment = Shipment.objects.create(
        order=order,
        key=key,
        method=method or order.delivery_name,
        tracking_number=tracking_number,
        tracking_link=_tracking_link(order, tracking_number),
        event=note_staff(order.pk, what, by=by, why="", now=now),
        sent_by=by[:150],
        sent_at=now,
    )
    ShipmentLine.objects.bulk_create(
        ShipmentLine(shipment=shipment, line_id=line_id, quantity=count)
        for line_id, count in pieces.items()
    )
    return shipment


def _tracking_link(order: Order, tracking_number: str) -> str:
    """The carrier's page about the parcel, as the order's method has it today."""
    if not (tracking_number and order.delivery_method.isdecimal()):
        return ""
    method = DeliveryMethod.objects.filter(pk=order.delivery_method).first()
    address = method.tracking_address if method else ""
    return address.replace("{number}", quote(tracking_number, safe=""))[:500]


def undo_shipment(shipment: Shipment, *, by: str, why: str, now: datetime) -> None:
    """Take back a parcel that was marked as sent by mistake. Its customer is told if the mail about
    it has left. Raises `ActionImpossible`."""
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=shipment.order_id)
        shipment = Shipment.objects.select_related("event").get(pk=shipment.pk)
        if shipment.undone_at:
            return
        if order.erased_at:
            raise ActionImpossible(
                "The customer's data was erased, so nobody knows where the goods would go now."
            )
        if now - shipment.sent_at > UNDO_WITHIN:
            raise ActionImpossible(
                "This parcel was marked as sent more than an hour ago, so its customer relies on "
                "it. If it never left, take it in as a return, and send the money or the goods "
                "again."
            )
        # So long as a refund has no outcome. What a bank keeps is watched over for longer.
        if order.status in PAID_FOR and order.sweep_at and order.authorised_until is None:
            raise ActionImpossible(
                "Money of this order is on its way back. Take the parcel back once that is done."
            )
        pieces = dict(shipment.lines.values_list("line_id", "quantity"))
        returned = order.lines.filter(returned__gt=0, pk__in=pieces)
        if any(line.shipped - pieces[line.pk] < line.returned for line in returned):
            raise ActionImpossible("Pieces of this parcel were taken in as a return.")
        Shipment.objects.filter(pk=shipment.pk).update(undone_at=now)
        move_pieces(order.pk, shipped={line_id: -count for line_id, count in pieces.items()})
        what = f"Not sent after all: {in_words(pieces, order.lines.all())}"
        event = note_staff(order.pk, what, by=by, why=why, now=now)
        if not _withdraw_mail(shipment):
            queue_mail(Mail.Kind.SHIPMENT_UNDONE, event, now=now)
        record_dispatch_status(order)
        _call_off_refunded(order, by=by, why=why, key=f"undone-{shipment.pk}")
        queue_webhook_about_parcel(WebhookKind.SHIPMENT_UNDONE, shipment, event, now=now)


def _call_off_refunded(order: Order, *, by: str, why: str, key: str) -> None:
    """Pieces whose price was sent back while they were thought to be with the customer are here
    after all, and must not be sent."""
    all_of_it = order.status == OrderStatus.REFUNDED
    pieces = {
        line.pk: (line.quantity if all_of_it else line.refunded) - line.shipped - line.called_off
        for line in order.lines.all()
    }
    refunded = {line_id: count for line_id, count in pieces.items() if count > 0}
    if refunded:
        call_off(order, refunded, restock=False, by=by, why=why, key=key)


def _withdraw_mail(shipment: Shipment) -> bool:
    """Whether the mail about the parcel had not left, and will not."""
    in_nobodys_hand = Q(claimed_until=None) | Q(claimed_until__lt=Now())
    mail = Mail.objects.filter(in_nobodys_hand, event=shipment.event, sent_at=None)
    return bool(mail.delete()[0])
