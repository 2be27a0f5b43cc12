"""An order's status in a shopper's words: what is going on, were they charged, what comes next?

The sentences about money come from `money_sentence`; none here says whether anything was charged.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from checkout.orders.models import Order
from checkout.orders.money.facts import MoneyFacts
from checkout.orders.money.words import money_sentence
from checkout.orders.states import Canceller, OrderStatus

# After this time the customer is told that the payment takes longer than usual.
USUALLY_WITHIN = timedelta(minutes=2)


@dataclass(frozen=True)
class StatusWords:
    headline: str
    sentence: str
    next: str
    is_final: bool  # nothing more will change by itself, so the page stops asking
    can_pay: bool = False


@dataclass(frozen=True)
class _Words:
    headline: str
    before: str = ""  # what is going on, before the sentence about money
    after: str = ""
    next: str = ""


_NEXT_AT_THE_BANK = _("Next: your bank shows the refund, which can take it some days.")
_NEXT_SENT_BACK = _("Next: we send your money back. You need not do anything.")
_NEXT_LOOKED_INTO = _("Next: we look into it. You need not do anything.")

_PLACED = _Words(
    _("We have your order"),
    before=_(
        "Your payment is being confirmed with your bank, which usually takes a few seconds. "
        "You need not do anything: reloading this page or sending the form again cannot "
        "charge you twice."
    ),
    next=_("Next: your bank answers, and this page says so. You may close it: the order is kept."),
)
_PLACED_LONG_AGO = replace(
    _PLACED,
    before=_(
        "Your payment is still being confirmed, which takes longer than usual. You need not do "
        "anything: we go on asking, and write to you. Sending the form again cannot charge you "
        "twice."
    ),
)
_ACTION_REQUIRED = _Words(
    _("Your bank has a question"),
    before=_(
        "Your bank asks you to approve this payment. Follow the link to your bank, or choose "
        "another way to pay below."
    ),
    next=_("Next: approve the payment at your bank, or choose another way to pay."),
)
_PAYMENT_FAILED = _Words(
    _("Your payment was declined"),
    after=_("Your order is kept as it is: choose another way to pay below."),
    next=_("Next: choose another way to pay. What you ordered stays set aside for you meanwhile."),
)
_PAID = _Words(
    _("Thank you, your order is paid"),
    after=_("We are getting your order ready."),
    next=_("Next: we send it to you."),
)
_FREE = replace(_PAID, headline=_("Thank you, your order is complete"))
_REFUNDED = _Words(_("Your payment was refunded"), next=_NEXT_AT_THE_BANK)
_PARTLY_REFUNDED = _Words(_("Part of your payment was refunded"), next=_NEXT_AT_THE_BANK)
_REFUND_UNDER_WAY = _Words(_("Your refund is under way"), next=_NEXT_SENT_BACK)
_REFUND_LOOKED_INTO = _Words(_("Your refund needs a closer look"), next=_NEXT_LOOKED_INTO)

_CANCELLED = _Words(
    _("This order was cancelled"),
    next=_("Next: nothing. If you still want these things, they are on the shelves."),
)

# Who had the order cancelled → what the customer reads. The empty key: it was not stored.
CANCELLED_BY = {
    "": "",
    Canceller.CUSTOMER: _("It was cancelled at your wish."),
    Canceller.STAFF: _("It was cancelled by the shop."),
    Canceller.TIME: _("It was not paid in time."),
}
PAID_TOO_LATE = _("A payment for it arrived after it was cancelled.")


def status_words(order: Order, facts: MoneyFacts, *, now: datetime | None = None) -> StatusWords:
    """The words in the request's language. Without `now` no payment is called slow."""
    words = _words(order, facts, now)
    parts = [
        *(words.before and gettext(words.before), *_about_cancelling(order, facts)),
        money_sentence(facts, order.currency),
        words.after and gettext(words.after),
    ]
    return StatusWords(
        headline=gettext(words.headline),
        sentence=" ".join(filter(None, parts)),
        next=gettext(words.next),
        is_final=facts.is_final,
        can_pay=facts.can_pay,
    )


def _words(order: Order, facts: MoneyFacts, now: datetime | None) -> _Words:
    match facts.status:
        case OrderStatus.PLACED:
            is_slow = now is not None and now - order.status_changed_at > USUALLY_WITHIN
            return _PLACED_LONG_AGO if is_slow else _PLACED
        case OrderStatus.ACTION_REQUIRED:
            return _ACTION_REQUIRED
        case OrderStatus.PAYMENT_FAILED:
            return _PAYMENT_FAILED
        case OrderStatus.PAID:
            return _FREE if facts.is_free else _PAID
        case OrderStatus.CANCELLED:
            return _with_next(_CANCELLED, facts) if facts.is_charged else _CANCELLED
        case OrderStatus.PARTLY_REFUNDED | OrderStatus.REFUNDED:
            return _refunded(facts)


def _refunded(facts: MoneyFacts) -> _Words:
    """What was really sent back decides: a refund may fail after it was reported as sent."""
    moved = facts.moved
    if moved.sent_back_minor >= moved.charged_minor > 0:
        return _REFUNDED
    if moved.sent_back_minor:
        return _PARTLY_REFUNDED
    return _REFUND_UNDER_WAY if moved.going_back_minor else _REFUND_LOOKED_INTO


def _with_next(words: _Words, facts: MoneyFacts) -> _Words:
    """After a cancelled order was charged, the next thing is that the money goes back."""
    if facts.moved.going_back_minor:
        return _Words(words.headline, next=_NEXT_SENT_BACK)
    all_sent = facts.moved.sent_back_minor >= facts.moved.charged_minor
    return _Words(words.headline, next=_NEXT_AT_THE_BANK if all_sent else _NEXT_LOOKED_INTO)


def _about_cancelling(order: Order, facts: MoneyFacts) -> list[str]:
    if facts.status != OrderStatus.CANCELLED:
        return []
    said = [CANCELLED_BY.get(order.cancelled_by, ""), PAID_TOO_LATE if facts.is_charged else ""]
    return [gettext(each) for each in said if each]
