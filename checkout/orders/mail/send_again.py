"""Send a mail again that was given up, or whose address has been corrected."""

import uuid
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from checkout.orders.history import note_staff
from checkout.orders.models import Mail
from checkout.runtime.claiming import ANEW


def given_up_since(since: datetime) -> QuerySet[Mail]:
    given_up = Mail.objects.filter(sent_at=None, gave_up_at__gte=since)
    return still_true(given_up).order_by("pk")


def mails_of(number: str) -> QuerySet[Mail]:
    """The order's mails that do not wait to be sent: they were sent or given up."""
    done = Mail.objects.filter(order__number=number).exclude(sent_at=None, gave_up_at=None)
    return still_true(done).order_by("pk")


def still_true(mails: QuerySet[Mail]) -> QuerySet[Mail]:
    """Without those that tell of a parcel that was marked as sent by mistake."""
    return mails.exclude(kind=Mail.Kind.SHIPPED, event__shipment__undone_at__isnull=False)


def send_again(mail: Mail, *, by: str, why: str, now: datetime) -> bool:
    """Have the mailer try the mail anew, for as long as a new one. False: the mail waits already.

    The mail goes to the address that the order has when it is sent. A mail that was sent before
    gets a new Message-ID: mail systems drop what they have seen.
    """
    with transaction.atomic():
        # The WHERE is the guard: of two who ask at once, the second finds it waiting.
        done = Mail.objects.filter(pk=mail.pk, order__erased_at=None)
        done = done.exclude(sent_at=None, gave_up_at=None)
        message_id = uuid.uuid4() if mail.sent_at else mail.message_id
        again = ANEW | {"wanted_since": Now(), "available_at": Now(), "message_id": message_id}
        if not done.update(**again):
            return False
        what = f"E-mail sent again: {mail.get_kind_display()}"
        note_staff(mail.order_id, what, by=by, why=why, now=now)
    return True
