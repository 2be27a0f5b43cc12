"""What is written to a customer, decided in the transaction of the event that it tells of."""

from datetime import datetime, timedelta

from django.db import transaction

from checkout.orders.models import Mail, Order, OrderEvent
from checkout.orders.states import REFUNDING, OrderStatus

# Where the order has come to → what is written about it. Its placing has no status before it;
# paying again leads back there, and is no news to the one who does it.
ON_ARRIVAL = {
    OrderStatus.PAYMENT_FAILED: Mail.Kind.PAYMENT_FAILED,
    OrderStatus.PAID: Mail.Kind.PAID,
}

# However often the link is asked for, an address gets no more mail than this.
LINK_PAUSE = timedelta(minutes=10)


def mail_about(source: OrderStatus | None, to: OrderStatus) -> Mail.Kind | None:
    if source in REFUNDING:  # a refund is written about by itself, and so is one that came back
        return None
    return Mail.Kind.RECEIVED if source is None else ON_ARRIVAL.get(to)


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
        order = Order.objects.select_for_update().filter(number=number, email__iexact=email).first()
        if order is None:
            return False
        links = order.mails.filter(kind=Mail.Kind.LINK)
        if links.filter(event__created_at__gt=now - LINK_PAUSE).exists():
            return False
        event = OrderEvent.objects.create(
            order=order,
            kind=OrderEvent.Kind.NOTE,
            reason="The link to the order was asked for by e-mail",
            created_at=now,
        )
        queue_mail(Mail.Kind.LINK, event, now=now)
    return True
