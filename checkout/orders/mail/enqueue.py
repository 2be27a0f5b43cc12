"""Queue mails to customers, in the transaction of the event that a mail tells of."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from checkout.orders.history import note
from checkout.orders.mail.address import has_address
from checkout.orders.models import Mail, Order, OrderEvent
from checkout.orders.states import PAID_FOR, OrderStatus
from checkout.orders.ways_to_pay.web_side import web_side_of

# The status that an order has reached → the mail about it. Placing and paying again both reach
# PLACED: placing has no status before it, and paying again is no news to the customer who pays. A
# refund has a mail of its own, since a second part of the money does not move the status any more.
# docs/mails.md is the whole list.
ON_ARRIVAL = {
    OrderStatus.ACTION_REQUIRED: Mail.Kind.ACTION_REQUIRED,
    OrderStatus.PROMISED: Mail.Kind.PROMISED,
    OrderStatus.AUTHORISED: Mail.Kind.AUTHORISED,
    OrderStatus.PAYMENT_FAILED: Mail.Kind.PAYMENT_FAILED,
    OrderStatus.PAID: Mail.Kind.PAID,
    OrderStatus.CANCELLED: Mail.Kind.CANCELLED,
}

# Most customers answer their bank at once. One who has not after so long gets a mail.
BANK_WAITS = timedelta(minutes=15)

# A payment may be under way for so long before a mail says that it takes longer than usual.
STILL_PAYING_AFTER = timedelta(hours=1)

# They tell a customer for what their order waits.
ASK_THE_CUSTOMER = [Mail.Kind.ACTION_REQUIRED, Mail.Kind.MONEY_AWAITED]

# However often the link is asked for, an address gets no more mail than this.
LINK_PAUSE = timedelta(minutes=10)


def mail_about(source: OrderStatus | None, to: OrderStatus) -> Mail.Kind | None:
    if source is None:
        return Mail.Kind.RECEIVED
    if (source, to) == (OrderStatus.CANCELLED, OrderStatus.PAID):
        return Mail.Kind.REVIVED
    if source in PAID_FOR and to in PAID_FOR:
        return None  # a refund has a mail of its own, and so has one that came back
    return ON_ARRIVAL.get(to)


def queue_mail_about(
    source: OrderStatus | None, to: OrderStatus, event: OrderEvent, *, now: datetime
) -> None:
    """Queue the mail about a move of the order's status. A mail about the status before, which has
    not been sent, is not true any more and is withdrawn."""
    if source == OrderStatus.ACTION_REQUIRED:
        asked = Mail.objects.filter(order=event.order_id, kind__in=ASK_THE_CUSTOMER)
        asked.filter(sent_at=None).delete()
    if kind := mail_about(source, to):
        waits = timedelta()
        if kind is Mail.Kind.ACTION_REQUIRED and web_side_of(event.order).customer_sends:
            kind = Mail.Kind.MONEY_AWAITED
        if kind is Mail.Kind.ACTION_REQUIRED:
            expires = timedelta(seconds=settings.UNPAID_ORDER_EXPIRES_SECONDS)
            waits = min(BANK_WAITS, expires / 2)
        queue_mail(kind, event, now=now + waits)


def queue_mail_to_the_shop(
    order_id: int, source: OrderStatus | None, to: OrderStatus, *, now: datetime
) -> None:
    """Tell the shop of an order that is newly paid, or whose price a bank keeps for it, once, where
    it has set an address for that.

    Call it in the transaction of the move, whose lock on the order keeps a second from looking
    before the first has written. A mail is the only one of its event, so this one has its own.
    """
    is_news = to in {OrderStatus.PAID, OrderStatus.AUTHORISED} and source not in PAID_FOR
    if not settings.SHOP_ORDERS_EMAIL or not is_news:
        return
    if Mail.objects.filter(order=order_id, kind=Mail.Kind.SHOP_ORDER).exists():
        return
    is_paid = "paid" if to == OrderStatus.PAID else "to be sent"
    event = note(order_id, f"The shop is told by e-mail that the order is {is_paid}", now=now)
    queue_mail(Mail.Kind.SHOP_ORDER, event, now=now)


def mail_who_waits_long(orders: Iterable[Order], *, now: datetime) -> None:
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
    """Queue a mail. The constraint allows one for an event, and a second is no error."""
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
        known = Order.objects.filter(has_address(email), number=number, erased_at=None)
        order = known.select_for_update().first()
        if order is None:
            return False
        links = order.mails.filter(kind=Mail.Kind.LINK)
        if links.filter(event__created_at__gt=now - LINK_PAUSE).exists():
            return False
        event = note(order.pk, "The link to the order was asked for by e-mail", now=now)
        queue_mail(Mail.Kind.LINK, event, now=now)
    return True
