"""The words of an e-mail: what happened, whether the customer was charged, what to do next.

A mail is composed from the order as it is when the mail is sent, which may be long after the event.
Sentences about money come from `money_sentence`; none here says whether anything was charged.
docs/mails.md lists which event writes which mail.
"""

from dataclasses import dataclass

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext, override
from django.utils.translation import gettext_noop as _

from checkout.catalogue.money import money, show_money
from checkout.orders.links import invoice_link, order_link, staff_link
from checkout.orders.mail.headers import headers
from checkout.orders.models import Invoice, Mail, OrderEvent
from checkout.orders.money.facts import MoneyFacts, facts_about
from checkout.orders.money.parts import Parts
from checkout.orders.money.words import money_sentence
from checkout.orders.postal_address import billing_lines, postal_lines
from checkout.orders.states import SENDABLE, WAS_SENT, Canceller, OrderStatus
from checkout.orders.ways_to_pay.web_side import web_side_of

SEE = _("See your order")


@dataclass(frozen=True, kw_only=True)
class MailWords:
    subject: str
    headline: str
    happened: str
    next: str = ""
    button: str = SEE
    with_goods: bool = True
    with_money: bool = True


_NEXT_SENT = _("Next: we send it to you.")

WORDS = {
    Mail.Kind.RECEIVED: MailWords(
        subject=_("We have your order {number}"),
        headline=_("We have your order"),
        happened=_(
            "Thank you. Your payment of {total} was on its way to your bank when you placed "
            "it. Sending the form again cannot order or charge anything twice."
        ),
        next=_("Next: your bank answers, and we write to you again. You need not do anything."),
    ),
    Mail.Kind.STILL_PAYING: MailWords(
        subject=_("Your payment for order {number} takes longer than usual"),
        headline=_("Your payment takes longer than usual"),
        happened=_(
            "We have your order, and no answer yet to the question whether your payment went "
            "through. We go on asking. Paying or ordering again is not needed."
        ),
        next=_("Next: we write to you as soon as we know. You need not do anything."),
    ),
    Mail.Kind.ACTION_REQUIRED: MailWords(
        subject=_("Your bank waits for your approval of order {number}"),
        headline=_("Your bank waits for your approval"),
        happened=_("Your bank asks you to approve the payment of {total}, and has no answer yet."),
        next=_(
            "Next: approve the payment, or choose another way to pay, on your order's page. "
            "Otherwise the order is cancelled when its time is over."
        ),
        button=_("Approve, or pay otherwise"),
    ),
    Mail.Kind.PROMISED: MailWords(
        subject=_("Your bank sends the money for order {number}"),
        headline=_("Your bank sends us the money"),
        happened=_(
            "Your bank has accepted the payment of {total}, and the money reaches us within some "
            "days. Your order is set aside for you until then."
        ),
        next=_(
            "Next: we write to you when the money has arrived, and send your order. You need not "
            "do anything."
        ),
    ),
    Mail.Kind.AUTHORISED: MailWords(
        subject=_("We have your order {number}"),
        headline=_("Thank you, we have your order"),
        happened=_("Your bank has approved the payment of {total}, and we get your order ready."),
        next=_NEXT_SENT,
    ),
    Mail.Kind.RELEASED: MailWords(
        subject=_("You are charged less for order {number}"),
        headline=_("You are charged less"),
        happened=_("{amount} is not charged, since we do not send what it was for."),
        next=_("Next: nothing. Your bank sets the money free. You need not do anything."),
    ),
    Mail.Kind.MONEY_AWAITED: MailWords(
        subject=_("Please send {total} for order {number}"),
        headline=_("Your order waits for your money"),
        happened=_("You pay by sending {total} yourself. This is where to:"),
        next=_("Next: you send the money, and we write to you when it has arrived."),
    ),
    Mail.Kind.PAYMENT_FAILED: MailWords(
        subject=_("Your payment for order {number} was declined"),
        headline=_("Your payment was declined"),
        happened=_("This payment did not go through. Your order is kept as it is."),
        next=_("Next: choose another way to pay on your order's page."),
        button=_("Pay again"),
    ),
    Mail.Kind.PAID: MailWords(
        subject=_("Your receipt for order {number}"),
        headline=_("Thank you, your order is paid"),
        happened=_("This is your receipt."),
        next=_NEXT_SENT,
    ),
    Mail.Kind.REVIVED: MailWords(
        subject=_("Your payment for order {number} arrived after all"),
        headline=_("Your payment arrived after all"),
        happened=_(
            "The order was cancelled before your payment reached us. What you ordered is still "
            "there, so we took the order up again. This is your receipt."
        ),
        next=_NEXT_SENT,
    ),
    Mail.Kind.CANCELLED: MailWords(
        subject=_("Your order {number} was cancelled"),
        headline=_("Your order was cancelled"),
        happened="",  # see CANCELLED_BY
        next=_("If you still want these things, you can order them again."),
    ),
    Mail.Kind.SURPLUS: MailWords(
        subject=_("Money goes back to you for order {number}"),
        headline=_("You paid more than you owe"),
        happened=_("A payment reached us that your order did not need."),
        next=_("Next: we send back what is too much, and write to you again."),
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
            "with us again."
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
        with_money=False,
    ),
    Mail.Kind.SHIPPED: MailWords(
        subject=_("A parcel of your order {number} is on its way"),
        headline=_("Your parcel is on its way"),
        happened=_("We have sent you a parcel."),
        next=_("Next: the parcel arrives. You need not do anything."),
    ),
    Mail.Kind.SHIPMENT_UNDONE: MailWords(
        subject=_("A parcel of your order {number} was not sent yet"),
        headline=_("Your parcel was not sent yet"),
        happened=_(
            "We wrote to you that a parcel was on its way. That was a mistake of ours: it has not "
            "left yet."
        ),
        next=_("Next: we send it, and write to you again. You need not do anything."),
    ),
    Mail.Kind.CALLED_OFF: MailWords(
        subject=_("Your order {number} was cancelled"),
        headline=_("Your order was cancelled"),
        happened="",  # see CANCELLED_BY
        next=_("Next: we send your money back, and write to you again."),
    ),
    Mail.Kind.RETURNED: MailWords(
        subject=_("Your return for order {number} has arrived"),
        headline=_("Your return has arrived"),
        happened=_("We have received what you sent back to us."),
        next=_("Next: we look at it. When money is sent back to you, we write to you again."),
    ),
    Mail.Kind.WITHDRAWN: MailWords(
        subject=_("We have received your withdrawal from order {number}"),
        headline=_("We have received your withdrawal"),
        happened=_(
            "You told us on {moment} that you withdraw from the contract about this order. Keep "
            "this mail: it confirms that we received your statement, and when."
        ),
        next=_(
            "Next: we look at it and write to you again, with what to send back, if anything, and "
            "what we refund."
        ),
    ),
    Mail.Kind.WITHDRAWAL_AGREED: MailWords(
        subject=_("We have agreed to your withdrawal from order {number}"),
        headline=_("We have agreed to your withdrawal"),
        happened=_("Please send the goods back to us, if you have not done so yet."),
        next=_("Next: when they have arrived, we send your money back and write to you again."),
    ),
    Mail.Kind.WITHDRAWAL_REFUSED: MailWords(
        subject=_("About your withdrawal from order {number}"),
        headline=_("We do not accept your withdrawal"),
        happened=_("We have looked at your withdrawal, and our reason is this: {why}"),
        next=_("If you see it differently, write to us. Your rights by law stay as they are."),
    ),
    Mail.Kind.SHOP_ORDER: MailWords(
        subject=_("New paid order {number}"),
        headline=_("New paid order"),
        happened=_("An order of {total} was paid."),
        button=_("See it in the admin"),
        with_money=False,
    ),
}

# Instead of SHOP_ORDER, where the order is charged when it is sent.
_SHOP_ORDER_TO_SEND = MailWords(
    subject=_("New order to be sent: {number}"),
    headline=_("New order to be sent"),
    happened=_("An order of {total} is charged when it is sent."),
    button=_("See it in the admin"),
    with_money=False,
)

# Staff had the link sent, by hand or because they corrected the address.
_LINK_BY_STAFF = _(
    "Our support has it sent to you at this address. Links in earlier e-mails about the order may "
    "open nothing any more; this one does."
)

# Instead of ACTION_REQUIRED, where customers pay on the gateway's own page.
_PAY_THERE = MailWords(
    subject=_("Order {number} waits for your payment"),
    headline=_("Your order waits for your payment"),
    happened=_("The payment of {total} is not made yet."),
    next=_(
        "Next: pay, or choose another way to pay, on your order's page. Otherwise the order is "
        "cancelled when its time is over."
    ),
    button=_("Pay"),
)

# Who had it cancelled → what happened. Empty: it was not written down.
CANCELLED_BY = {
    "": _("Your order was cancelled."),
    Canceller.CUSTOMER: _("Your order was cancelled at your request."),
    Canceller.STAFF: _("The shop cancelled your order."),
    Canceller.TIME: _("Your order was not paid in time, so it was cancelled."),
}

_FREE = {
    Mail.Kind.RECEIVED: _(
        "Thank you. Sending the form again cannot order or charge anything twice."
    ),
    Mail.Kind.PAID: _("This is your receipt."),
}
_FREE_HEADLINE = _("Thank you, your order is complete")

# Said instead of what comes next, when the order has moved on since what the mail tells of.
SINCE_THEN = {
    OrderStatus.PLACED: _("Since then: another payment is being confirmed with your bank."),
    OrderStatus.ACTION_REQUIRED: _("Since then: your bank asks you to approve the payment."),
    OrderStatus.PROMISED: _("Since then: your bank has accepted, and sends us the money."),
    OrderStatus.AUTHORISED: _("Since then: your bank has approved, and we get your order ready."),
    OrderStatus.PAYMENT_FAILED: _("Since then: the payment was declined."),
    OrderStatus.PAID: _("Since then: the order is complete, and we are getting it ready for you."),
    OrderStatus.PARTLY_REFUNDED: _("Since then: money was sent back to you."),
    OrderStatus.REFUNDED: _("Since then: money was sent back to you."),
    OrderStatus.CANCELLED: _("Since then: the order was cancelled."),
}

_SINCE_THEN_AWAITED = _("Since then: your order waits for the money that you send.")

_SENT_SINCE = _("Since then: we have sent you a parcel.")

# Each says that something will be sent.
PROMISES = {
    _NEXT_SENT,
    SINCE_THEN[OrderStatus.PAID],
    SINCE_THEN[OrderStatus.AUTHORISED],
    WORDS[Mail.Kind.SHIPMENT_UNDONE].next,
}


def compose(mail: Mail) -> EmailMultiAlternatives:
    """Compose a mail in the language in which the order was placed."""
    is_to_the_shop = mail.kind == Mail.Kind.SHOP_ORDER
    language = "" if is_to_the_shop else mail.order.language
    with override(language or settings.LANGUAGE_CODE):
        return _compose(mail, facts_about(mail.order))


def is_outdated(mail: Mail) -> bool:
    """Whether what the mail asks for is done, or what it tells of is not so any more, so that the
    mail must not be sent."""
    if mail.kind == Mail.Kind.SHOP_ORDER:
        return not settings.SHOP_ORDERS_EMAIL
    if mail.order.erased_at:
        return True  # there is nobody to write to any more
    if mail.kind == Mail.Kind.SHIPPED:
        return mail.event.shipment.undone_at is not None
    expected = ASKS_WHILE.get(Mail.Kind(mail.kind))
    return expected is not None and mail.order.status != expected


ASKS_WHILE = {
    Mail.Kind.ACTION_REQUIRED: OrderStatus.ACTION_REQUIRED,
    Mail.Kind.MONEY_AWAITED: OrderStatus.ACTION_REQUIRED,
    Mail.Kind.PROMISED: OrderStatus.PROMISED,
    Mail.Kind.STILL_PAYING: OrderStatus.PLACED,
}

_RECEIVED_AND_SENT_BY_CUSTOMER = _(
    "Thank you. You send {total} yourself, and we write to you where to in a moment. Sending the "
    "form again cannot order anything twice."
)
_NEXT_WHERE_TO = _("Next: we write to you where to send the money.")


def _compose(mail: Mail, facts: MoneyFacts) -> EmailMultiAlternatives:
    order, kind = mail.order, Mail.Kind(mail.kind)
    words = _words_of(mail)
    is_to_the_shop = kind is Mail.Kind.SHOP_ORDER
    shipment = mail.event.shipment if kind is Mail.Kind.SHIPPED else None
    repeats_statement = kind is Mail.Kind.WITHDRAWN and facts.is_charged
    has_moved_on = _has_moved_on(mail)
    is_awaited = kind is Mail.Kind.MONEY_AWAITED
    waiting = web_side_of(order).waiting(order) if is_awaited else None
    issued = Invoice.objects.none() if is_to_the_shop else Invoice.objects.filter(event=mail.event)
    invoice = issued.first()
    amounts = {
        "number": order.number,
        "total": show_money(order.total),
        "amount": show_money(money(mail.amount_minor or 0, order.currency)),
        "moment": date_format(localtime(mail.event.created_at), gettext("j F Y, H:i:s e")),
        "why": mail.event.explanation,
    }
    context = {
        "order": order,
        "lines": order.lines.select_related("order") if words.with_goods else [],
        "parts": Parts.of_order(order),
        "headline": gettext(_headline(mail, facts)),
        "happened": gettext(_happened(mail, facts)).format(**amounts),
        "money": money_sentence(facts, order.currency) if words.with_money else "",
        "next": _next(mail, facts),
        "waiting_for": waiting.facts if waiting else [],
        "happened_at": mail.event.created_at,
        "button": gettext(SEE if has_moved_on else words.button),
        # What somebody typed, such as name and address, is sent only once the order was charged:
        # until then the mail may go to anybody, and could be made to say anything.
        "with_address": facts.is_charged and not is_to_the_shop,
        "stated": mail.event.withdrawal if repeats_statement else None,
        "shipment": shipment,
        "parcel": shipment.lines.select_related("line") if shipment else [],
        "deliver_to": postal_lines(order),
        "bill_to": billing_lines(order),
        "sent_back": money(facts.moved.sent_back_minor, order.currency),
        "link": staff_link(order) if is_to_the_shop else order_link(order),
        "invoice": invoice,
        "invoice_link": invoice and invoice_link(order, invoice),
        "shop": settings.SHOP_NAME,
        "is_to_the_shop": is_to_the_shop,
    }
    message = EmailMultiAlternatives(
        subject=gettext(words.subject).format(**amounts),
        body=render_to_string("emails/order.txt", context),
        to=[settings.SHOP_ORDERS_EMAIL if is_to_the_shop else order.email],
        headers=headers(mail.message_id),
    )
    message.attach_alternative(render_to_string("emails/order.html", context), "text/html")
    return message


def _has_moved_on(mail: Mail) -> bool:
    is_to_the_shop = mail.kind == Mail.Kind.SHOP_ORDER
    return not is_to_the_shop and mail.event.to_status not in ("", mail.order.status)


def _next(mail: Mail, facts: MoneyFacts) -> str:
    """What comes next, or what has come since: the mail may be sent long after its event."""
    order, kind = mail.order, Mail.Kind(mail.kind)
    words = SINCE_THEN[facts.status] if _has_moved_on(mail) else _words_of(mail).next
    is_sent = order.dispatch_status in WAS_SENT
    if kind is Mail.Kind.CALLED_OFF and facts.moved.sent_back_minor >= facts.moved.charged_minor:
        words = SINCE_THEN[OrderStatus.REFUNDED]
    elif kind is Mail.Kind.RECEIVED and facts.customer_sends and not _has_moved_on(mail):
        words = _NEXT_WHERE_TO
    elif facts.customer_sends and words == SINCE_THEN[OrderStatus.ACTION_REQUIRED]:
        words = _SINCE_THEN_AWAITED
    elif words in PROMISES and facts.status in SENDABLE and order.is_cancelled_and_paid:
        words = SINCE_THEN[OrderStatus.CANCELLED]
    elif words in PROMISES and is_sent and kind is not Mail.Kind.SHIPMENT_UNDONE:
        words = _SENT_SINCE
    return words and gettext(words)


def _words_of(mail: Mail) -> MailWords:
    kind, order = Mail.Kind(mail.kind), mail.order
    if kind is Mail.Kind.SHOP_ORDER and order.status == OrderStatus.AUTHORISED:
        return _SHOP_ORDER_TO_SEND
    pays_there = kind is Mail.Kind.ACTION_REQUIRED and web_side_of(order).waiting(order)
    return _PAY_THERE if pays_there else WORDS[kind]


def _headline(mail: Mail, facts: MoneyFacts) -> str:
    is_free = facts.is_free and Mail.Kind(mail.kind) in _FREE
    return _FREE_HEADLINE if is_free else _words_of(mail).headline


def _happened(mail: Mail, facts: MoneyFacts) -> str:
    kind = Mail.Kind(mail.kind)
    if kind in (Mail.Kind.CANCELLED, Mail.Kind.CALLED_OFF):
        return CANCELLED_BY.get(mail.order.cancelled_by, CANCELLED_BY[""])
    if kind is Mail.Kind.RECEIVED and facts.customer_sends and not facts.is_free:
        return _RECEIVED_AND_SENT_BY_CUSTOMER
    if kind is Mail.Kind.LINK and mail.event.kind == OrderEvent.Kind.STAFF:
        return _LINK_BY_STAFF
    happened = _words_of(mail).happened
    return _FREE.get(kind, happened) if facts.is_free else happened
