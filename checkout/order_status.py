"""An order's status in a shopper's words: what is going on, and were they charged?"""

from dataclasses import dataclass, replace

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from checkout.catalogue.templatetags.money import show_money
from checkout.orders.models import Order
from checkout.orders.states import OrderStatus


@dataclass(frozen=True)
class StatusWords:
    headline: str
    sentence: str
    next: str
    is_final: bool  # nothing more will change by itself, so the page stops asking
    can_pay: bool = False


_WORDS = {
    OrderStatus.PLACED: StatusWords(
        _("We have your order"),
        _(
            "Your payment is being confirmed with your bank, which usually takes a few seconds. "
            "You need not do anything: reloading this page or sending the form again cannot "
            "charge you twice."
        ),
        _("Next: your bank answers, and this page says so. You may close it: the order is kept."),
        is_final=False,
    ),
    OrderStatus.ACTION_REQUIRED: StatusWords(
        _("Your bank has a question"),
        _(
            "Your bank asks you to approve this payment. You have not been charged. Follow the "
            "link to your bank, or choose another way to pay below."
        ),
        _("Next: approve the payment at your bank, or choose another way to pay."),
        is_final=False,
        can_pay=True,
    ),
    OrderStatus.PAYMENT_FAILED: StatusWords(
        _("Your payment was declined"),
        _(
            "You have not been charged. Your order is kept as it is: choose another way to pay "
            "below."
        ),
        _("Next: choose another way to pay. What you ordered stays set aside for you meanwhile."),
        is_final=True,
        can_pay=True,
    ),
    OrderStatus.PAID: StatusWords(
        _("Thank you, your order is paid"),
        _("You were charged once, {total}. We are getting it ready for you."),
        _("Next: we wrap it and send it to the address on this page."),
        is_final=True,
    ),
    OrderStatus.PARTLY_REFUNDED: StatusWords(
        _("Part of your payment was refunded"),
        _("You were charged once, {total}, and {refunded} of it was sent back to you."),
        _("Next: your bank shows the refund, which can take it some days."),
        is_final=True,
    ),
    OrderStatus.REFUNDED: StatusWords(
        _("Your payment was refunded"),
        _("You were charged once, {total}, and all of it was sent back to you."),
        _("Next: your bank shows the refund, which can take it some days."),
        is_final=True,
    ),
    OrderStatus.CANCELLED: StatusWords(
        _("This order was cancelled"),
        _("You have not been charged for it."),
        _("Next: nothing. If you still want these things, they are on the shelves."),
        is_final=True,
    ),
}


_PAID_AND_CANCELLED = StatusWords(
    _("This order was cancelled"),
    _(
        "A payment for it arrived after it was cancelled. It will be sent back to you, and you "
        "need not do anything."
    ),
    _("Next: we send your money back."),
    is_final=False,
)


_FREE = StatusWords(
    _("Thank you, your order is complete"),
    _("Nothing was to be paid, and you were not charged. We are getting it ready for you."),
    _("Next: we wrap it and send it to the address on this page."),
    is_final=True,
)


def status_words(order: Order) -> StatusWords:
    """In the language of this request."""
    is_late = order.status == OrderStatus.CANCELLED and order.needs_person
    words = _PAID_AND_CANCELLED if is_late else _WORDS[OrderStatus(order.status)]
    if order.is_free and order.status == OrderStatus.PAID:
        words = _FREE
    return replace(
        words,
        headline=gettext(words.headline),
        sentence=gettext(words.sentence).format(
            total=show_money(order.total), refunded=show_money(order.refunded)
        ),
        next=gettext(words.next),
    )
