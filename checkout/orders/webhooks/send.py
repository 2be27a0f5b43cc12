"""Send webhooks from the table of deliveries to the shop's other systems.

Claim and commit, send, record: no transaction is open while another system is asked. What a sender
had in hand when it died is sent again, under the same webhook-id.
"""

import logging
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery

from checkout.orders.history import note
from checkout.orders.models import WebhookDelivery, WebhookEndpoint, open_deliveries
from checkout.orders.webhooks.http import Answer
from checkout.runtime import claiming, metrics
from checkout.runtime.claiming import claim_next, still_claimed
from checkout.runtime.retry import backoff

logger = logging.getLogger(__name__)

# A claim is renewed while other systems are slow. After a sender died, its deliveries are free
# again this soon; one that was stopped for longer may send a delivery twice, under one webhook-id.
CLAIM = timedelta(seconds=20)

# After a failure a delivery waits 10 s, then twice as long each time, and an hour at most.
FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(hours=1)
JITTER = 0.25

GIVE_UP_AFTER = timedelta(days=1)
TRIES_AT_LEAST = 5  # a sender that was away for a day has tried nothing

GONE = 410


def claim(*, now: datetime, busy: Collection[int] = ()) -> WebhookDelivery | None:
    """Claim one delivery for this sender alone, to an endpoint that is not too busy.

    Endpoints are asked one by one, each by the index over its open deliveries: however many wait
    for an endpoint that is away, they are not looked at for another.
    """
    for endpoint in WebhookEndpoint.objects.filter(is_active=True).exclude(pk__in=busy):
        due = _due(endpoint, now).select_related("order", "event")
        if delivery := claim_next(due, lasts=CLAIM):
            delivery.endpoint = endpoint
            return delivery
    return None


def renew(deliveries: Collection[WebhookDelivery]) -> None:
    claimed = open_deliveries().filter(claimed_until__isnull=False)
    claiming.renew(claimed.filter(pk__in=[d.pk for d in deliveries]), lasts=CLAIM)


def _due(endpoint: WebhookEndpoint, now: datetime) -> QuerySet[WebhookDelivery]:
    """The oldest open delivery of each order, so that the events of an order are sent in turn."""
    open_ones = open_deliveries().filter(endpoint=endpoint)
    # Their events decide which is oldest: what was made up later is not newer for that.
    oldest = open_ones.filter(order=OuterRef("order")).order_by("event_id")
    return open_ones.filter(pk=Subquery(oldest.values("pk")[:1]), available_at__lte=now)


def record(delivery: WebhookDelivery, answer: Answer, *, now: datetime) -> None:
    claiming.record(lambda: _record(delivery, answer, now=now))


def _record(delivery: WebhookDelivery, answer: Answer, *, now: datetime) -> None:
    outcome = {
        "last_status": answer.status,
        "last_error": answer.error[:60],
        "last_took_ms": answer.took_ms,
        "claimed_until": None,
    }
    if answer.is_taken:
        unsent = WebhookDelivery.objects.filter(pk=delivery.pk, sent_at=None)
        unsent.update(sent_at=now, gave_up_at=None, **outcome)
        metrics.WEBHOOKS_SENT.labels("delivered").inc()
        return
    logger.warning(
        "A webhook was not taken, will try again",
        extra={
            "order": delivery.order.number,
            "webhook": delivery.kind,
            "endpoint": delivery.endpoint_id,
            "tries": delivery.tries,
            "error": answer.error or f"answered {answer.status}",
        },
    )
    pause = backoff(delivery.tries, first=FIRST_PAUSE, longest=LONGEST_PAUSE, jitter=JITTER)
    still_claimed(delivery).update(available_at=now + pause, **outcome)
    metrics.WEBHOOKS_SENT.labels("refused" if answer.status else "failed").inc()
    if answer.status == GONE:
        switch_off(delivery.endpoint_id, f"It answered {GONE} Gone", now=now)
    elif now - _tried_since(delivery) >= GIVE_UP_AFTER and delivery.tries >= TRIES_AT_LEAST:
        _give_up(delivery, now=now)


def _tried_since(delivery: WebhookDelivery) -> datetime:
    """Since when the delivery is tried, which none is while its endpoint is switched off."""
    return max(delivery.wanted_since, delivery.endpoint.on_since or delivery.wanted_since)


def _give_up(delivery: WebhookDelivery, *, now: datetime) -> None:
    with transaction.atomic():
        if still_claimed(delivery).filter(gave_up_at=None).update(gave_up_at=now):
            note(delivery.order_id, f"Webhook not delivered: {delivery}", now=now)
            transaction.on_commit(metrics.WEBHOOKS_SENT.labels("given_up").inc)


def switch_off(endpoint_id: int, why: str, *, now: datetime) -> None:
    """Send nothing to the endpoint until it is switched on again; what waits for it is kept."""
    is_on = WebhookEndpoint.objects.filter(pk=endpoint_id, is_active=True)
    if is_on.update(is_active=False, off_reason=why, off_since=now):
        logger.error(
            "An endpoint of webhooks was switched off", extra={"endpoint": endpoint_id, "why": why}
        )
