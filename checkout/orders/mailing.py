"""From the table of mails to the mail server.

Claim and commit, send, record: no transaction is open while the server is asked. A mailer that dies
between sending and recording leaves a claim that runs out; the one mail it had in hand is then sent
a second time, under the same Message-ID.
"""

import logging
from datetime import datetime, timedelta
from smtplib import SMTPNotSupportedError, SMTPRecipientsRefused, SMTPResponseException

from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, models, transaction
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Now

from checkout.orders import metrics
from checkout.orders.claiming import claiming, kept_claimed
from checkout.orders.database import DATABASE_ERRORS
from checkout.orders.faultpoints import fault_points
from checkout.orders.mail_content import compose
from checkout.orders.models import Mail, OrderEvent
from checkout.orders.transitions import note

logger = logging.getLogger(__name__)

# Renewed while the server is slow, of which a mail takes about ten answers. After a mailer died its
# mail is free again this soon. One that was only stopped for longer is overtaken, and its customer
# gets that mail twice; so this is longer than for messages, which SQS drops.
CLAIM = timedelta(seconds=20)

# After a refusal: 30 s, then twice as long each time, and an hour at most.
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
DOUBLINGS = 7  # past the longest pause; more would only make a large number

# RFC 5321, 4.5.4.1: "the give-up time generally needs to be at least 4-5 days".
GIVE_UP_AFTER = timedelta(days=5)
TRIES_AT_LEAST = 10  # a server that was away for a week has tried nothing

# The server says no to this mail; a header that cannot be built is a ValueError. Every other
# OSError, of which smtplib's errors are a kind, means that the server is away or broke off.
REFUSALS = (SMTPResponseException, SMTPRecipientsRefused, SMTPNotSupportedError, ValueError)


def is_mail_due(*, now: datetime) -> bool:
    return _due(now).exists()


def send_next(server: BaseEmailBackend, *, now: datetime) -> bool:
    """Send the mail that is due longest; False when none is due. Raises OSError when the server
    breaks off, after putting that mail off."""
    mail = claim(now=now)
    if mail is None:
        return False
    try:
        message = compose(mail)
        still_ours = Mail.objects.filter(pk=mail.pk, tries=mail.tries, sent_at=None)
        with kept_claimed(still_ours, claim=CLAIM), fault_points("mail sent"):
            server.send_messages([message])
    except REFUSALS as error:
        # Without the server's words: they quote the address.
        logger.warning(
            "An e-mail was not taken, will try again",
            extra={
                "order": mail.order.number,
                "mail": mail.kind,
                "tries": mail.tries,
                "error": type(error).__name__,
            },
        )
        put_off(mail, now=now)
        metrics.MAILS.labels("refused").inc()
    except OSError:
        put_off(mail, now=now)
        metrics.MAILS.labels("failed").inc()
        raise
    else:
        _record_on_a_living_connection(mail, now=now)
        metrics.MAILS.labels("sent").inc()
    return True


def claim(*, now: datetime) -> Mail | None:
    """Take one mail in hand, for this mailer alone. Those of an order go out in their order."""
    with claiming():
        mail = (
            _due(now)
            .select_for_update(skip_locked=True, of=("self",))
            .select_related("order", "event")
            .order_by("available_at", "id")
            .first()
        )
        if mail:
            mail.tries += 1  # counted before the try: a crash counts too
            Mail.objects.filter(pk=mail.pk).update(
                claimed_until=Now() + CLAIM, tries=F("tries") + 1
            )
    return mail


def _due(now: datetime) -> models.QuerySet[Mail]:
    open_mails = Mail.objects.filter(sent_at=None, gave_up_at=None)
    oldest = open_mails.filter(order=OuterRef("order")).order_by("pk")
    unclaimed = Q(claimed_until__isnull=True) | Q(claimed_until__lt=Now())
    return open_mails.filter(unclaimed, available_at__lte=now, pk=Subquery(oldest.values("pk")[:1]))


def put_off(mail: Mail, *, now: datetime) -> None:
    is_old = now - (mail.wanted_since or mail.event.created_at) >= GIVE_UP_AFTER
    if is_old and mail.tries >= TRIES_AT_LEAST:
        _give_up(mail, now=now)
        return
    pause = min(FIRST_PAUSE * 2 ** min(mail.tries - 1, DOUBLINGS), LONGEST_PAUSE)
    Mail.objects.filter(pk=mail.pk, sent_at=None).update(
        available_at=now + pause, claimed_until=None
    )


def _give_up(mail: Mail, *, now: datetime) -> None:
    with transaction.atomic():
        open_mail = Mail.objects.filter(pk=mail.pk, sent_at=None, gave_up_at=None)
        if open_mail.update(gave_up_at=now, claimed_until=None):
            note(mail.order_id, f"E-mail not delivered: {mail.get_kind_display()}", now=now)
            transaction.on_commit(metrics.MAILS.labels("given_up").inc)


def _record_on_a_living_connection(mail: Mail, *, now: datetime) -> None:
    """The mail is out and cannot be called back, so a connection that was lost gets no say."""
    try:
        record(mail, now=now)
    except DATABASE_ERRORS:
        connection.close()
        record(mail, now=now)


def record(mail: Mail, *, now: datetime) -> None:
    with transaction.atomic():
        if Mail.objects.filter(pk=mail.pk, sent_at=None).update(sent_at=now, claimed_until=None):
            OrderEvent.objects.create(
                order_id=mail.order_id,
                kind=OrderEvent.Kind.MAILED,
                reason=f"E-mail sent: {mail.get_kind_display()}",
                created_at=now,
            )
