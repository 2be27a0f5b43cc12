"""What happened to an order, in words for its shopper.

Events are written for support. Shoppers read what matters to them, and no internal reasons.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Min, Q
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from checkout.orders.cancelling import REASONS, REASONS_AFTER_IT_WAS_PAID
from checkout.orders.models import Mail, Order, OrderEvent
from checkout.orders.states import Canceller, OrderStatus
from checkout.orders.ways_to_pay.web_side import web_side_of
from checkout.views.order.parcels import NEVER_SENT

NEW = ""  # the status before an order is placed

# (from, to) → what the shopper reads.
MOVES: dict[tuple[str, str], str] = {
    (NEW, OrderStatus.PLACED): _("We received your order."),
    (OrderStatus.PLACED, OrderStatus.PAID): _("Your payment went through."),
    (OrderStatus.PLACED, OrderStatus.ACTION_REQUIRED): _(
        "Your bank asked you to approve the payment."
    ),
    (OrderStatus.PLACED, OrderStatus.PAYMENT_FAILED): _("Your payment was declined."),
    (OrderStatus.ACTION_REQUIRED, OrderStatus.PLACED): _("You chose another way to pay."),
    (OrderStatus.ACTION_REQUIRED, OrderStatus.PAID): _(
        "Your bank has your approval, and your payment went through."
    ),
    (OrderStatus.ACTION_REQUIRED, OrderStatus.PAYMENT_FAILED): _("The payment was not approved."),
    (OrderStatus.PLACED, OrderStatus.PROMISED): _(
        "Your bank accepted the payment, and sends the money within days."
    ),
    (OrderStatus.ACTION_REQUIRED, OrderStatus.PROMISED): _(
        "Your bank accepted the payment, and sends the money within days."
    ),
    (OrderStatus.PLACED, OrderStatus.AUTHORISED): _("Your bank set the money aside for us."),
    (OrderStatus.ACTION_REQUIRED, OrderStatus.AUTHORISED): _(
        "Your bank has your approval, and set the money aside for us."
    ),
    (OrderStatus.PAYMENT_FAILED, OrderStatus.AUTHORISED): _(
        "Your bank set the money aside for us after all."
    ),
    (OrderStatus.AUTHORISED, OrderStatus.PAID): _("Your bank paid us for what we sent."),
    (OrderStatus.AUTHORISED, OrderStatus.PAYMENT_FAILED): _(
        "Your bank did not keep the money for us any longer."
    ),
    (OrderStatus.PROMISED, OrderStatus.PAID): _("Your money has arrived."),
    (OrderStatus.PROMISED, OrderStatus.PAYMENT_FAILED): _("Your bank did not send the money."),
    (OrderStatus.PAYMENT_FAILED, OrderStatus.PLACED): _("You chose another way to pay."),
    (OrderStatus.PAYMENT_FAILED, OrderStatus.PAID): _(
        "Your bank told us that the payment went through after all."
    ),
    (OrderStatus.CANCELLED, OrderStatus.PAID): _(
        "Your payment arrived after all, so we took the order up again."
    ),
    (OrderStatus.PAID, OrderStatus.PARTLY_REFUNDED): _("We sent part of your money back."),
    (OrderStatus.PAID, OrderStatus.REFUNDED): _("We sent your money back."),
    (OrderStatus.PARTLY_REFUNDED, OrderStatus.REFUNDED): _("We sent the rest of your money back."),
    (OrderStatus.REFUNDED, OrderStatus.PARTLY_REFUNDED): _(
        "Your bank could not take part of your refund; that money is with us again."
    ),
    (OrderStatus.REFUNDED, OrderStatus.PAID): _(
        "Your bank could not take your refund; the money is with us again."
    ),
    (OrderStatus.PARTLY_REFUNDED, OrderStatus.PAID): _(
        "Your bank could not take your refund; the money is with us again."
    ),
}

# What the shopper reads instead where they send the money themselves.
SENT_MOVES: dict[tuple[str, str], str] = {
    (OrderStatus.PLACED, OrderStatus.ACTION_REQUIRED): _("We wait for your money."),
    (OrderStatus.ACTION_REQUIRED, OrderStatus.PAID): _("Your money has arrived."),
    (OrderStatus.PLACED, OrderStatus.PAID): _("Your money has arrived."),
}

# What the shopper reads instead where they pay on the gateway's own page.
THERE_MOVES: dict[tuple[str, str], str] = {
    (OrderStatus.PLACED, OrderStatus.ACTION_REQUIRED): _("The order waits for your payment."),
    (OrderStatus.ACTION_REQUIRED, OrderStatus.PAID): _("Your payment went through."),
    (OrderStatus.ACTION_REQUIRED, OrderStatus.PAYMENT_FAILED): _("The payment was not made."),
}

# What the shopper reads instead where the order cost nothing.
FREE_MOVES: dict[tuple[str, str], str] = {
    (OrderStatus.PLACED, OrderStatus.PAID): _("Nothing was to be paid."),
}

# Who had the order cancelled → what the shopper reads. The empty key: it was not stored.
CANCELLATIONS: dict[str, str] = {
    "": _("The order was cancelled."),
    Canceller.CUSTOMER: _("The order was cancelled at your request."),
    Canceller.STAFF: _("The shop cancelled the order."),
    Canceller.TIME: _("The order was not paid in time, so it was cancelled."),
}

# What the event of a cancelling says → who had it cancelled. An order may be cancelled twice: not
# paid in time, revived by its late payment, and cancelled at its customer's wish after that.
CANCELLERS = {reason: who for who, reason in [*REASONS.items(), *REASONS_AFTER_IT_WAS_PAID.items()]}

PARCEL_SENT = _("We sent you a parcel.")
PARCEL_UNDONE = _("We had marked a parcel as sent by mistake: it has not left yet.")
RETURN_TAKEN = _("What you sent back arrived with us.")

# Events that may come a thousand times are shown once, with the time of the first.
REPEATS: dict[str, str] = {
    OrderEvent.Kind.RESUBMITTED: _("Your order reached us again. It is still this one order."),
    OrderEvent.Kind.RESUBMITTED_CHANGED: _(
        "Your order reached us again with other details. The "
        "first one stands, and nothing was charged by that."
    ),
    OrderEvent.Kind.TWIN_SEEN: _(
        "The same was about to be ordered once more from another device, and this order was looked "
        "at instead."
    ),
    OrderEvent.Kind.TWIN_ORDERED: _(
        "We asked whether the same is wanted twice, and the answer was yes: "
        "there is another order like this one."
    ),
}


# A mail to the shop itself is no step of its customer's.
MAILS: dict[str, str] = {
    Mail.Kind.RECEIVED: _("We sent you an e-mail that we have your order."),
    Mail.Kind.PAYMENT_FAILED: _("We sent you an e-mail with a link to pay again."),
    Mail.Kind.PAID: _("We sent you the receipt by e-mail."),
    Mail.Kind.ACTION_REQUIRED: _("We sent you an e-mail that your bank waits for your approval."),
    Mail.Kind.PROMISED: _("We sent you an e-mail that your bank sends us the money."),
    Mail.Kind.AUTHORISED: _("We sent you an e-mail that your bank set the money aside."),
    Mail.Kind.RELEASED: _("We sent you an e-mail about what you are not charged."),
    Mail.Kind.MONEY_AWAITED: _("We sent you an e-mail with our account."),
    Mail.Kind.STILL_PAYING: _("We sent you an e-mail that your payment takes longer than usual."),
    Mail.Kind.CANCELLED: _("We sent you an e-mail that the order was cancelled."),
    Mail.Kind.REVIVED: _("We sent you an e-mail that your payment arrived after all."),
    Mail.Kind.SURPLUS: _("We sent you an e-mail that money goes back to you."),
    Mail.Kind.REFUNDED: _("We sent you an e-mail about your refund."),
    Mail.Kind.REFUND_FAILED: _("We sent you an e-mail that your refund did not arrive."),
    Mail.Kind.LINK: _("We sent you the link to this page by e-mail."),
    Mail.Kind.SHIPPED: _("We sent you an e-mail that a parcel is on its way."),
    Mail.Kind.SHIPMENT_UNDONE: _("We sent you an e-mail that a parcel has not left yet."),
    Mail.Kind.CALLED_OFF: _("We sent you an e-mail that the order was cancelled."),
    Mail.Kind.RETURNED: _("We sent you an e-mail that your return has arrived."),
    Mail.Kind.WITHDRAWN: _("We sent you an e-mail that confirms your withdrawal."),
    Mail.Kind.WITHDRAWAL_AGREED: _("We sent you an e-mail that we agree to your withdrawal."),
    Mail.Kind.WITHDRAWAL_REFUSED: _("We sent you an e-mail about your withdrawal."),
}


@dataclass(frozen=True)
class Step:
    happened_at: datetime
    words: str


def timeline(order: Order) -> list[Step]:
    """The steps, the oldest first, read by at most five statements however much happened."""
    steps = [*_moves(order), *_repeats(order), *_mails(order)]
    if order.status not in NEVER_SENT:
        steps += [*_parcels(order), *_returns(order)]
    return sorted(steps, key=lambda step: step.happened_at)


def _moves(order: Order) -> Iterator[Step]:
    web, moves = web_side_of(order), MOVES
    if web.customer_sends:
        moves = MOVES | SENT_MOVES
    elif web.waiting(order):
        moves = MOVES | THERE_MOVES
    moves = moves | FREE_MOVES if order.is_free else moves
    is_told = Q(kind=OrderEvent.Kind.TRANSITION) | Q(reason__in=REASONS_AFTER_IT_WAS_PAID.values())
    for event in order.events.filter(is_told).order_by("id"):
        if event.to_status in ("", OrderStatus.CANCELLED):
            who = CANCELLERS.get(event.reason, order.cancelled_by)
            yield Step(event.created_at, gettext(CANCELLATIONS[who]))
        elif words := moves.get((event.from_status, event.to_status)):
            yield Step(event.created_at, gettext(words))


def _parcels(order: Order) -> Iterator[Step]:
    for sent_at, undone_at in order.shipments.order_by("id").values_list("sent_at", "undone_at"):
        yield Step(sent_at, gettext(PARCEL_SENT))
        if undone_at:
            yield Step(undone_at, gettext(PARCEL_UNDONE))


def _returns(order: Order) -> Iterator[Step]:
    for taken_at in order.returns.order_by("id").values_list("taken_at", flat=True):
        yield Step(taken_at, gettext(RETURN_TAKEN))


def _repeats(order: Order) -> Iterator[Step]:
    repeats = order.events.filter(kind__in=REPEATS).order_by().values("kind")
    for repeat in repeats.annotate(first_at=Min("created_at")):
        yield Step(repeat["first_at"], gettext(REPEATS[repeat["kind"]]))


def _mails(order: Order) -> Iterator[Step]:
    sent = order.mails.filter(sent_at__isnull=False, kind__in=MAILS).order_by("id")
    for kind, sent_at in sent.values_list("kind", "sent_at"):
        if sent_at:
            yield Step(sent_at, gettext(MAILS[kind]))
