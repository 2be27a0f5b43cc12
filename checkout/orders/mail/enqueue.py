"""What is written to a customer, decided in the transaction of the event that it tells of."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from checkout.orders.history import note
from checkout.orders.mail.address import has_address
from checkout.orders.models import Mail, Order, OrderEvent
from checkout.orders.states import PAID_FOR, OrderStatus

# Where the order has come to → what is written about it. Its placing has no status before it;
# paying again leads back there, and is no news to the one who does it. A refund is written about by
# itself, since the second part of an order's money moves its status no more. docs/mails.md is the
# whole list.
ON_ARRIVAL = {
    OrderStatus.ACTION_REQUIRED: Mail.Kind.ACTION_REQUIRED,
    OrderStatus.PAYMENT_FAILED: Mail.Kind.PAYMENT_FAILED,
    OrderStatus.PAID: Mail.Kind.PAID,
    OrderStatus.CANCELLED: Mail.Kind.CANCELLED,
}

# Most customers answer their bank at once. Only who has not after so long is written to.
BANK_WAITS = timedelta(minutes=15)

# So long a payment may be under way before its customer is told that it takes longer than usual.
STILL_PAYING_AFTER = timedelta(hours=1)

# However often the link is asked for, an address gets no more mail than this.
LINK_PAUSE = timedelta(minutes=10)


def mail_about(source: OrderStatus | None, to: OrderStatus) -> Mail.Kind | None:
    if source is None:
        return Mail.Kind.RECEIVED
    if (source, to) == (OrderStatus.CANCELLED, OrderStatus.PAID):
        return Mail.Kind.REVIVED
    if source in PAID_FOR and to in PAID_FOR:
        return None  # a refund is written about by itself, and so is one that came back
    return ON_ARRIVAL.get(to)


def queue_mail_about(
    source: OrderStatus | None, to: OrderStatus, event: OrderEvent, *, now: datetime
) -> None:
    """What is written about a move of the order's status; and what was to be written about the
    status that it leaves, and is not true any more, is withdrawn."""
    if source is not None and source in WITHDRAWN_AFTER:
        withdrawn = Mail.objects.filter(order=event.order_id, kind=WITHDRAWN_AFTER[source])
        withdrawn.filter(sent_at=None).delete()
    if kind := mail_about(source, to):
        waits = timedelta()
        if kind is Mail.Kind.ACTION_REQUIRED:
            expires = timedelta(seconds=settings.UNPAID_ORDER_EXPIRES_SECONDS)
            waits = min(BANK_WAITS, expires / 2)
        queue_mail(kind, event, now=now + waits)


WITHDRAWN_AFTER = {OrderStatus.ACTION_REQUIRED: Mail.Kind.ACTION_REQUIRED}


def tell_who_waits_long(orders: Iterable[Order], *, now: datetime) -> None:
    """Write once to each of these whose payment has been under way for long."""
    since = {
        order.pk: order.status_changed_at
        for order in orders
        if order.status == OrderStatus.PLACED
        and now - order.status_changed_at >= STILL_PAYING_AFTER
    }
    if not since:
        return
    written = Mail.objects.filter(order__in=since, kind=Mail.Kind.STILL_PAYING)
    for order_id, written_at in written.values_list("order_id", "event__created_at"):
        if written_at >= since.get(order_id, written_at):
            since.pop(order_id, None)
    for order_id in since:
        what = "Its payment takes longer than usual, and its customer is told"
        event = note(order_id, what, now=now)
        queue_mail(Mail.Kind.STILL_PAYING, event, now=now)


def queue_mail(
    kind: Mail.Kind, event: OrderEvent, *, now: datetime, amount_minor: int | None = None
) -> None:
    """One at most for an event: the constraint decides, and a second one is no error."""
    mail = Mail(
        order_id=event.order_id,
        event=event,
        kind=kind,
        amount_minor=amount_minor,
        available_at=now,
    )
    Mail.objects.bulk_create([mail], ignore_conflicts=True)


def queue_link(number: str, email: str, *, now: datetime) -> bool:
    """Mail the link to the order of that number, if it was placed with that address."""
    with transaction.atomic():
        # Locked, so that of two requests at once only one finds that none was sent lately.
        order = Order.objects.select_for_update().filter(has_address(email), number=number).first()
        if order is None:
            return False
        links = order.mails.filter(kind=Mail.Kind.LINK)
        if links.filter(event__created_at__gt=now - LINK_PAUSE).exists():
            return False
        event = note(order.pk, "The link to the order was asked for by e-mail", now=now)
        queue_mail(Mail.Kind.LINK, event, now=now)
    return True
