"""What an e-mail says: what happened, were they charged, what to do next.

Written from the order as it is when the mail is sent, which may be long after the event.
"""

from dataclasses import dataclass
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.translation import gettext, override
from django.utils.translation import gettext_noop as _

from checkout.catalogue.money import money
from checkout.catalogue.templatetags.money import show_money
from checkout.orders.links import order_link
from checkout.orders.models import Mail
from checkout.orders.states import OrderStatus

SEE = _("See your order")


@dataclass(frozen=True, kw_only=True)
class MailWords:
    subject: str
    headline: str
    happened: str
    next: str = ""
    button: str = SEE
    with_goods: bool = True


_WORDS = {
    Mail.Kind.RECEIVED: MailWords(
        subject=_("We have your order {number}"),
        headline=_("We have your order"),
        happened=_(
            "Thank you. Your payment of {total} was on its way to your bank when you placed "
            "it. Sending the form again cannot order or charge anything twice."
        ),
        next=_("Next: your bank answers, and we write to you again. You need not do anything."),
    ),
    Mail.Kind.PAYMENT_FAILED: MailWords(
        subject=_("Your payment for order {number} was declined"),
        headline=_("Your payment was declined"),
        happened=_("You were not charged by this payment. Your order is kept as it is."),
        next=_("Next: choose another way to pay on your order's page."),
        button=_("Pay again"),
    ),
    Mail.Kind.PAID: MailWords(
        subject=_("Your receipt for order {number}"),
        headline=_("Thank you, your order is paid"),
        happened=_("You were charged once, {total}."),
        next=_("Next: we wrap it and send it to the address below."),
    ),
    Mail.Kind.REFUNDED: MailWords(
        subject=_("We sent money back for order {number}"),
        headline=_("We sent money back to you"),
        happened=_("{amount} is on its way to the account or card that you paid with."),
        next=_("Next: your bank shows it, which can take it some days. You need not do anything."),
    ),
    Mail.Kind.REFUND_FAILED: MailWords(
        subject=_("Your refund for order {number} did not arrive"),
        headline=_("Your refund did not arrive"),
        happened=_(
            "Your bank could not take the {amount} that we had sent back to you, so the money is "
            "with us again. You were not charged anything new."
        ),
        next=_("Next: we look into it and send it to you again. You need not do anything."),
    ),
    Mail.Kind.LINK: MailWords(
        subject=_("The link to your order {number}"),
        headline=_("The link to your order"),
        happened=_(
            "Somebody, most likely you, asked our shop for it. Nothing was ordered or charged "
            "by that. If it was not you, you need not do anything."
        ),
        with_goods=False,
    ),
}

# Instead of the receipt of what was charged.
_FREE = MailWords(
    subject=_("Your receipt for order {number}"),
    headline=_("Thank you, your order is complete"),
    happened=_("Nothing was to be paid, and you were not charged."),
    next=_("Next: we wrap it and send it to the address below."),
)

# Said as well, when the order has moved on since what the mail tells of.
_SINCE_THEN = {
    OrderStatus.PLACED: _("Since then: another payment is being confirmed with your bank."),
    OrderStatus.ACTION_REQUIRED: _(
        "Since then: your bank asks you to approve the payment. You have not been charged."
    ),
    OrderStatus.PAYMENT_FAILED: _(
        "Since then: the payment was declined. You have not been charged."
    ),
    OrderStatus.PAID: _("Since then: your payment went through. You were charged once, {total}."),
    OrderStatus.PARTLY_REFUNDED: _(
        "Since then: you were charged once, {total}, and {refunded} of it was sent back to you."
    ),
    OrderStatus.REFUNDED: _(
        "Since then: you were charged once, {total}, and all of it was sent back to you."
    ),
    OrderStatus.CANCELLED: _("Since then: the order was cancelled."),
}


def compose(mail: Mail) -> EmailMultiAlternatives:
    """In the language that the order was placed in."""
    with override(mail.order.language or settings.LANGUAGE_CODE):
        return _compose(mail)


def _compose(mail: Mail) -> EmailMultiAlternatives:
    order, words = mail.order, _WORDS[Mail.Kind(mail.kind)]
    if order.is_free and mail.kind == Mail.Kind.PAID:
        words = _FREE
    has_moved_on = mail.event.to_status not in ("", order.status)
    amounts = {
        "number": order.number,
        "total": show_money(order.total),
        "refunded": show_money(order.refunded),
        "amount": show_money(money(mail.amount_minor or 0, order.currency)),
    }
    context = {
        "order": order,
        "lines": order.lines.select_related("order") if words.with_goods else [],
        "headline": gettext(words.headline),
        "happened": gettext(words.happened).format(**amounts),
        "next": gettext(_SINCE_THEN[OrderStatus(order.status)]).format(**amounts)
        if has_moved_on
        else words.next and gettext(words.next),
        "happened_at": mail.event.created_at,
        "button": gettext(SEE if has_moved_on else words.button),
        "link": order_link(order),
        "shop": settings.SHOP_NAME,
    }
    message = EmailMultiAlternatives(
        subject=gettext(words.subject).format(**amounts),
        body=render_to_string("emails/order.txt", context),
        to=[order.email],
        headers={
            "Message-ID": f"<{mail.message_id.hex}@{_domain()}>",
            "Auto-Submitted": "auto-generated",  # RFC 3834: no out-of-office answers, please
        },
    )
    message.attach_alternative(render_to_string("emails/order.html", context), "text/html")
    return message


def _domain() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
