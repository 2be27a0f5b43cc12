"""The promise that no message is lost before its outcome, checked against the queue's counts."""

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from checkout.orders.models import Order, OutboxMessage
from checkout.orders.queue.sqs import PaymentsQueue
from checkout.orders.states import OrderStatus
from payments.books.audit import Finding
from payments.models import Payment

# A message that was published so long ago is in the queue, or was.
PUBLISHED_AGO = timedelta(minutes=1)


def audit_queue(queue: PaymentsQueue, *, now: datetime) -> Finding:
    """Each order whose message was published, and to which nothing has come of it, still has it in
    the queue or in the dead-letter queue. The counts are SQS's approximate ones."""
    messages = OutboxMessage.objects.filter(order=OuterRef("pk"))
    leased = Payment.objects.filter(order=OuterRef("pk"), lease_until__gte=Now())
    waiting = Order.objects.filter(
        Exists(messages.filter(published_at__lt=now - PUBLISHED_AGO)),
        ~Exists(messages.filter(published_at=None)),
        ~Exists(leased),
        status=OrderStatus.PLACED,
    ).count()
    there = queue.count_messages()
    gone = max(0, waiting - there)
    rows = [f"{waiting} orders wait for one, {there} messages are there"] if gone else []
    promise = "No message is gone before its order has an outcome"
    return Finding("I9", promise, checked=waiting, count=gone, rows=rows)
