"""Staff correct the address of an order's e-mails, or have one sent again."""

from datetime import datetime

from django.db import transaction
from django.db.models import F

from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.history import note_staff
from checkout.orders.mail.enqueue import queue_mail
from checkout.orders.mail.send_again import send_again
from checkout.orders.models import Mail, Order, OrderEvent

LINK = Mail.Kind.LINK

ON_ITS_WAY = "That e-mail is on its way already; nothing was added."


def must_name_somebody(order: Order) -> None:
    if order.erased_at:
        raise ActionImpossible(
            "The personal data of this order was erased. It names nobody any more, nobody is "
            "written to, and nothing new of a person is entered."
        )


def correct_email(order: Order, *, email: str, seen: str, by: str, why: str, now: datetime) -> str:
    """Send the order's e-mails to another address from now on, waiting ones included, and its link
    at once. The links that went to the other address stop, with the sessions that opened them.
    `seen` is the address that the page showed: of two who correct it at once the second reads so.
    """
    with transaction.atomic():
        current = Order.objects.select_for_update().get(pk=order.pk)
        must_name_somebody(current)
        if current.email == email:
            return "That is the address already; nothing was changed."
        if current.email != seen:
            raise ActionImpossible(
                "Somebody else corrected the address while this page was open. Nothing was "
                "changed. Look at the order again."
            )
        Order.objects.filter(pk=order.pk).update(email=email, link_version=F("link_version") + 1)
        # The event names no address: events are kept for ever and other systems' people see them.
        event = note_staff(order.pk, "E-mail address corrected", by=by, why=why, now=now)
        queue_mail(LINK, event, now=now)
    return (
        "The address was corrected, and the order's link is on its way to it. Links in earlier "
        "e-mails open nothing any more."
    )


def send_mail_again(
    order: Order, *, which: str, seen: int, by: str, why: str, now: datetime
) -> str:
    """Have the mailer send a mail again. `which` is the id of the mail, or `link`. `seen` is the
    last event that the page showed: a page that is submitted twice sends one e-mail."""
    with transaction.atomic():
        must_name_somebody(Order.objects.select_for_update().get(pk=order.pk))
        mails = order.mails.filter(kind=LINK) if which == LINK else order.mails.filter(pk=which)
        mail = mails.order_by("pk").last()
        kind = Mail.Kind(mail.kind) if mail else LINK
        what = f"E-mail sent again: {kind.label}"
        done = order.events.filter(kind=OrderEvent.Kind.STAFF, reason=what, pk__gt=seen)
        if done.exists():
            return ON_ITS_WAY
        if mail is None:
            event = note_staff(order.pk, what, by=by, why=why, now=now)
            queue_mail(LINK, event, now=now)
        elif not send_again(mail, by=by, why=why, now=now):
            return ON_ITS_WAY
    return "It goes out within seconds. This page shows what comes of it."
