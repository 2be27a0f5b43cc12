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
from checkout.orders.states import EXPIRING, PAID_FOR, TO_SEND, Canceller, OrderStatus
from checkout.orders.states import DispatchStatus as Dispatch
from checkout.orders.ways_to_pay.web_side import web_side_of

# After this time the customer is told that the payment takes longer than usual.
USUALLY_WITHIN = timedelta(minutes=2)


@dataclass(frozen=True)
class StatusWords:
    headline: str
    sentence: str
    next: str
    is_final: bool  # nothing more will change by itself, so the page stops asking
    can_pay: bool = False
    how_far: str = ""  # how far it is sent, where the headline does not tell
    tone: str = ""  # the status whose colour the page has


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
_PROMISED = _Words(
    _("Your bank sends us the money"),
    before=_(
        "Your bank has accepted the payment, and the money reaches us within some days. Your "
        "order is set aside for you until then. You need not do anything: sending the form again "
        "cannot charge you twice."
    ),
    next=_("Next: the money arrives, we write to you, and we send your order."),
)
_AUTHORISED = _Words(
    _("Thank you, we have your order"),
    after=_("We are getting your order ready."),
    next=_("Next: we send it to the address on this page, and write to you when it leaves."),
)
_AUTHORISED_AND_SENT = _Words(
    _("Your order was sent"), next=_("Next: the parcel arrives, and your bank shows the charge.")
)
_NEXT_SET_FREE = _("Next: your bank sets the money free, which can take it some days.")
_PAYMENT_FAILED = _Words(
    _("Your payment was declined"),
    after=_("Your order is kept as it is: choose another way to pay below."),
    next=_("Next: choose another way to pay. What you ordered stays set aside for you meanwhile."),
)
_UNPAID = {OrderStatus.PROMISED: _PROMISED, OrderStatus.PAYMENT_FAILED: _PAYMENT_FAILED}
_THANKS = _("Thank you, your order is paid")

# What is told of an order that is paid follows how far it is sent. That a bank holds its money is
# told to nobody: until that is decided it waits to be sent like others.
_PAID = {
    Dispatch.NOT_RECORDED: _Words(
        _THANKS, next=_("Next: your order is sent to you, unless it has reached you already.")
    ),
    Dispatch.UNSENT: _Words(
        _THANKS,
        after=_("We are getting your order ready."),
        next=_("Next: we send it to the address on this page, and write to you when it leaves."),
    ),
    Dispatch.PARTLY_SENT: _Words(
        _("Part of your order was sent"),
        next=_("Next: the parcel arrives, and we send you the rest."),
    ),
    Dispatch.SENT: _Words(
        _("Your order was sent"), next=_("Next: the parcel arrives, unless you have it already.")
    ),
    Dispatch.RETURNED: _Words(
        _("Your return has arrived"),
        next=_("Next: we look at what came back. When money is sent back, we write to you."),
    ),
    Dispatch.CALLED_OFF: _Words(_("Your order will not be sent"), next=_("Next: nothing.")),
    Dispatch.NOTHING_TO_SEND: _Words(
        _THANKS, next=_("Next: nothing. There is no parcel to wait for.")
    ),
}
_FREE = _("Thank you, your order is complete")
_REST_IS_SENT = _("What is left of your order is sent to you.")

_HOW_FAR = {
    Dispatch.UNSENT: _("Not sent yet"),
    Dispatch.PARTLY_SENT: _("Partly sent"),
    Dispatch.SENT: _("Sent"),
    Dispatch.RETURNED: _("Came back"),
    Dispatch.CALLED_OFF: _("Not sent"),
}

_REFUNDED = _Words(_("Your payment was refunded"), next=_NEXT_AT_THE_BANK)
_PARTLY_REFUNDED = _Words(_("Part of your payment was refunded"), next=_NEXT_AT_THE_BANK)
_REFUND_UNDER_WAY = _Words(_("Your refund is under way"), next=_NEXT_SENT_BACK)
_REFUND_LOOKED_INTO = _Words(_("Your refund needs a closer look"), next=_NEXT_LOOKED_INTO)

_CANCELLED = _Words(
    _("This order was cancelled"),
    next=_("Next: nothing. If you still want these things, they are on the shelves."),
)

_BEING_CANCELLED = _Words(
    _("Your order is being cancelled"),
    before=_(
        "You asked for it. Its payment is closed at your bank first, so that nothing can be "
        "taken for it any more. Should the payment go through before that, the order is paid."
    ),
    next=_("Next: this page says when it is done. You need not do anything."),
)
_ERASED = _("The personal data of this order was erased.")

# Who had the order cancelled → what the customer reads. The empty key: it was not stored.
CANCELLED_BY = {
    "": "",
    Canceller.CUSTOMER: _("It was cancelled at your request."),
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
        gettext(_ERASED) if order.erased_at else "",
    ]
    is_awaited = is_being_cancelled(order) or _is_money_awaited(order, facts)
    return StatusWords(
        headline=gettext(words.headline),
        sentence=" ".join(filter(None, parts)),
        next=_next(words, order, facts),
        is_final=facts.is_final and not is_awaited,
        can_pay=facts.can_pay and not is_being_cancelled(order) and not order.erased_at,
        how_far=_how_far(words, order, facts),
        tone=_tone(order, facts),
    )


def _tone(order: Order, facts: MoneyFacts) -> str:
    if is_being_cancelled(order) or facts.status == OrderStatus.PROMISED:
        return OrderStatus.PLACED
    if order.is_cancelled_and_paid:
        return OrderStatus.CANCELLED
    return OrderStatus.PAID if facts.is_set_aside else facts.status


def is_being_cancelled(order: Order) -> bool:
    """Its customer has asked for it, and the worker has not closed its payment yet."""
    return order.status in EXPIRING and order.cancelled_by == Canceller.CUSTOMER


def _is_money_awaited(order: Order, facts: MoneyFacts) -> bool:
    """The order was cancelled after it was paid, and its money is not back yet, or not free."""
    owes = facts.moved.sent_back_minor < facts.moved.charged_minor
    return (owes or facts.is_set_aside) and order.is_cancelled_and_paid


def _next(words: _Words, order: Order, facts: MoneyFacts) -> str:
    if order.erased_at and facts.is_final:
        return ""  # there is nobody any more to whom anything could be sent
    said = [words.next and gettext(words.next)]
    if facts.status == OrderStatus.PARTLY_REFUNDED and order.dispatch_status in TO_SEND:
        said.append(gettext(_REST_IS_SENT))
    return " ".join(filter(None, said))


def _how_far(words: _Words, order: Order, facts: MoneyFacts) -> str:
    """Only what is paid for is sent, and some headlines tell already how far."""
    dispatch = Dispatch(order.dispatch_status)
    is_told = words.headline == _PAID[dispatch].headline != _THANKS
    if facts.status not in PAID_FOR or is_told or dispatch not in _HOW_FAR:
        return ""
    return gettext(_HOW_FAR[dispatch])


def _words(order: Order, facts: MoneyFacts, now: datetime | None) -> _Words:
    if is_being_cancelled(order):
        return _BEING_CANCELLED
    if order.is_cancelled_and_paid:
        return _cancelled_after_it_was_paid(facts)
    match facts.status:
        case OrderStatus.PLACED:
            is_slow = now is not None and now - order.status_changed_at > USUALLY_WITHIN
            return _PLACED_LONG_AGO if is_slow else _PLACED
        case OrderStatus.ACTION_REQUIRED:
            waiting = web_side_of(order).waiting(order)
            if waiting is None:
                return _ACTION_REQUIRED
            return _Words(waiting.headline, before=waiting.before, next=waiting.next)
        case OrderStatus.AUTHORISED:
            is_unsent = order.dispatch_status == Dispatch.UNSENT
            return _AUTHORISED if is_unsent else _AUTHORISED_AND_SENT
        case OrderStatus.PAID:
            return _paid(order, facts)
        case OrderStatus.CANCELLED:
            return _with_next(_CANCELLED, facts) if facts.is_charged else _CANCELLED
        case OrderStatus.PARTLY_REFUNDED | OrderStatus.REFUNDED:
            return _refunded(facts)
        case other:
            return _UNPAID[other]


def _paid(order: Order, facts: MoneyFacts) -> _Words:
    dispatch = Dispatch(order.dispatch_status)
    words = _PAID[dispatch]
    if dispatch == Dispatch.CALLED_OFF and facts.is_charged:
        return _refunded(facts)
    if dispatch == Dispatch.RETURNED and facts.moved.going_back_minor:
        return replace(words, next=_NEXT_SENT_BACK)
    is_free = facts.is_free and words.headline == _THANKS
    return replace(words, headline=_FREE) if is_free else words


def _refunded(facts: MoneyFacts) -> _Words:
    """What was really sent back decides: a refund may fail after it was reported as sent."""
    moved = facts.moved
    if moved.sent_back_minor >= moved.charged_minor > 0:
        return _REFUNDED
    if moved.sent_back_minor:
        return _PARTLY_REFUNDED
    return _REFUND_UNDER_WAY if moved.going_back_minor else _REFUND_LOOKED_INTO


def _cancelled_after_it_was_paid(facts: MoneyFacts) -> _Words:
    """Until the worker has asked for the refund, none is on its way, and it comes all the same."""
    if not facts.is_charged:  # its price was set aside at most
        return _Words(_CANCELLED.headline, next=_NEXT_SET_FREE)
    is_all_back = facts.moved.sent_back_minor >= facts.moved.charged_minor
    return _Words(_CANCELLED.headline, next=_NEXT_AT_THE_BANK if is_all_back else _NEXT_SENT_BACK)


def _with_next(words: _Words, facts: MoneyFacts) -> _Words:
    """After a cancelled order was charged, the next thing is that the money goes back."""
    if facts.moved.going_back_minor:
        return _Words(words.headline, next=_NEXT_SENT_BACK)
    all_sent = facts.moved.sent_back_minor >= facts.moved.charged_minor
    return _Words(words.headline, next=_NEXT_AT_THE_BANK if all_sent else _NEXT_LOOKED_INTO)


def _about_cancelling(order: Order, facts: MoneyFacts) -> list[str]:
    if order.is_cancelled_and_paid:
        return [gettext(CANCELLED_BY[order.cancelled_by])]
    if facts.status != OrderStatus.CANCELLED:
        return []
    said = [CANCELLED_BY.get(order.cancelled_by, ""), PAID_TOO_LATE if facts.is_charged else ""]
    return [gettext(each) for each in said if each]
