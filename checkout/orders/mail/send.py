"""Send mails about orders and accounts from their tables to the mail server.

Claim and commit, send, record: no transaction is open while the server is asked. The one mail that
a mailer had in hand when it died is sent again, under the same Message-ID.
"""

import logging
from datetime import datetime, timedelta
from smtplib import SMTPNotSupportedError, SMTPRecipientsRefused, SMTPResponseException

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import models, transaction
from django.db.models import OuterRef, Q, Subquery

from checkout.orders.history import note, record_event
from checkout.orders.mail.account import compose_account_mail
from checkout.orders.mail.words import compose, is_outdated
from checkout.orders.models import AccountMail, Mail, OrderEvent
from checkout.runtime import metrics
from checkout.runtime.claiming import claim_next, kept_claimed, record, still_claimed, unclaimed
from checkout.runtime.faultpoints import fault_points
from checkout.runtime.retry import backoff

logger = logging.getLogger(__name__)

# A claim is renewed while the server is slow; a mail takes about ten of its answers. After a mailer
# died, its mail is free again this soon. A mailer that was stopped for longer is overtaken, and
# the customer gets that mail twice; so this is longer than for messages, whose copies SQS drops.
CLAIM = timedelta(seconds=20)

# After a refusal a mail waits 30 s, then twice as long each time, and an hour at most.
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)

# RFC 5321, 4.5.4.1: "the give-up time generally needs to be at least 4-5 days".
GIVE_UP_AFTER = timedelta(days=5)

# Nobody waits for a link to their account any longer than this; they ask for another.
GIVE_UP_ACCOUNT_MAIL_AFTER = timedelta(days=1)
KEEP_ACCOUNT_MAIL = timedelta(days=1)

TRIES_AT_LEAST = 10  # a server that was away for a week has tried nothing

# The server says no to this mail, or (ValueError) a header cannot be built. Every other OSError,
# and smtplib's errors are OSErrors, means that the server is away or broke off.
REFUSALS = (SMTPResponseException, SMTPRecipientsRefused, SMTPNotSupportedError, ValueError)

AnyMail = Mail | AccountMail


def is_mail_due(*, now: datetime) -> bool:
    return any(due.filter(unclaimed()).exists() for due in (_due(now), _account_mails_due(now)))


def send_next(server: BaseEmailBackend, *, now: datetime) -> bool:
    """Send the mail that is due longest; False when none is due. Raises OSError when the server
    breaks off, after putting that mail off."""
    mail = claim(now=now)
    if mail is None:
        return False
    if isinstance(mail, Mail) and is_outdated(mail):
        Mail.objects.filter(pk=mail.pk, sent_at=None).delete()
        return True
    try:
        message = compose(mail) if isinstance(mail, Mail) else compose_account_mail(mail, now=now)
        if message:
            _send(mail, message, server)
    except REFUSALS as error:
        # The server's words are left out, because they quote the address.
        logger.warning(
            "An e-mail was not taken, will try again",
            extra={
                **({"order": mail.order.number} if isinstance(mail, Mail) else {}),
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
        record(lambda: _record(mail, now=now))
        metrics.MAILS.labels("sent").inc()
    return True


def _send(mail: AnyMail, message: EmailMessage, server: BaseEmailBackend) -> None:
    with kept_claimed(still_claimed(mail), lasts=CLAIM), fault_points("mail sent"):
        server.send_messages([message])


def claim(*, now: datetime) -> AnyMail | None:
    """Claim one mail for this mailer alone. Those of an order go out in their order."""
    of_orders = _due(now).select_related("order", "event")
    return claim_next(of_orders, lasts=CLAIM) or claim_next(_account_mails_due(now), lasts=CLAIM)


def _due(now: datetime) -> models.QuerySet[Mail]:
    open_mails = Mail.objects.filter(sent_at=None, gave_up_at=None)
    # A mail that is decided now and sent later keeps no other mail of its order waiting.
    is_for_later = Q(kind=Mail.Kind.ACTION_REQUIRED, available_at__gt=now)
    # Mails to the shop have another reader: neither do they wait for the customer's, nor these for
    # them, which an address of the shop that is wrong would hold up for days.
    is_to_the_shop = Q(kind=Mail.Kind.SHOP_ORDER)
    others = open_mails.filter(order=OuterRef("order")).exclude(is_for_later | is_to_the_shop)
    is_oldest = Q(pk=Subquery(others.order_by("pk").values("pk")[:1]))
    return open_mails.filter(is_oldest | is_to_the_shop, available_at__lte=now)


def _account_mails_due(now: datetime) -> models.QuerySet[AccountMail]:
    open_mails = AccountMail.objects.filter(sent_at=None, gave_up_at=None)
    return open_mails.filter(available_at__lte=now)


def put_off(mail: AnyMail, *, now: datetime) -> None:
    if _is_old(mail, now) and mail.tries >= TRIES_AT_LEAST:
        _give_up(mail, now=now)
        return
    pause = backoff(mail.tries, first=FIRST_PAUSE, longest=LONGEST_PAUSE)
    still_claimed(mail).update(available_at=now + pause, claimed_until=None)


def _is_old(mail: AnyMail, now: datetime) -> bool:
    if isinstance(mail, AccountMail):
        return now - mail.created_at >= GIVE_UP_ACCOUNT_MAIL_AFTER
    return now - (mail.wanted_since or mail.event.created_at) >= GIVE_UP_AFTER


def _give_up(mail: AnyMail, *, now: datetime) -> None:
    with transaction.atomic():
        if still_claimed(mail).filter(gave_up_at=None).update(gave_up_at=now, claimed_until=None):
            if isinstance(mail, Mail):
                note(mail.order_id, f"E-mail not delivered: {mail.get_kind_display()}", now=now)
            transaction.on_commit(metrics.MAILS.labels("given_up").inc)


def _record(mail: AnyMail, *, now: datetime) -> None:
    if isinstance(mail, AccountMail):
        AccountMail.objects.filter(pk=mail.pk, sent_at=None).update(sent_at=now, claimed_until=None)
        old = AccountMail.objects.filter(created_at__lt=now - KEEP_ACCOUNT_MAIL)
        old.exclude(sent_at=None, gave_up_at=None).delete()
        return
    with transaction.atomic():
        if Mail.objects.filter(pk=mail.pk, sent_at=None).update(sent_at=now, claimed_until=None):
            what = f"E-mail sent: {mail.get_kind_display()}"
            record_event(mail.order_id, OrderEvent.Kind.MAILED, what, now=now)
