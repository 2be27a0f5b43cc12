"""What the desks do to an order: each act as the admin's page does it, under the page's key."""

import random
from collections.abc import Callable
from typing import Any

from checkout.orders.cancelling import cancel_paid
from checkout.orders.dispatch import returns, ship
from checkout.orders.dispatch.correct_address import (
    address_of,
    correct_address,
    digest_of_address,
)
from checkout.orders.dispatch.returns import ReturnedPieces
from checkout.orders.models import Order, OrderLine
from checkout.orders.states import Canceller
from checkout.runtime.clock import database_now
from config.local.crowd.shoppers import TRANSFER
from payments import refunds
from payments.models import Payment
from payments.refund_lines import RefundedPieces, refund_lines
from payments.states import PaymentStatus

Act = Callable[[str], int]


def acts_of(role: str, order: Order | None, chance: random.Random) -> tuple[str, str, Act] | None:
    """An act of this role that the order's page would offer now, with its name and the order."""
    if order is None:
        return None
    offers = CLERK if role == "clerk" else SUPPORT
    name = chance.choices(list(offers), [weight for weight, _ in offers.values()])[0]
    act = offers[name][1](order, chance)
    return (name, order.number, act) if act else None


def _send_all(order: Order, chance: random.Random) -> Act | None:
    if not _some(order, lambda line: line.to_send):
        return None

    def act(key: str) -> int:
        now = database_now()
        return ship.ship(order, None, key=key, tracking_number=key, by="clerk", now=now).pk

    return act


def _send_part(order: Order, chance: random.Random) -> Act | None:
    lines = _some(order, lambda line: line.to_send)
    if not lines:
        return None
    pieces = {chance.choice(lines).pk: 1}

    def act(key: str) -> int:
        return ship.ship(order, pieces, key=key, by="clerk", now=database_now()).pk

    return act


def _undo(order: Order, chance: random.Random) -> Act | None:
    parcel = order.shipments.filter(undone_at=None).last()
    if parcel is None:
        return None

    def act(key: str) -> int:
        ship.undo_shipment(parcel, by="clerk", why="By mistake", now=database_now())
        return parcel.pk

    return act


def _take_in(order: Order, chance: random.Random) -> Act | None:
    lines = _some(order, lambda line: line.shipped - line.returned)
    if not lines:
        return None
    pieces = {chance.choice(lines).pk: ReturnedPieces(1, chance.choice([0, 1, 1]))}

    def act(key: str) -> int:
        now = database_now()
        return returns.take_return(order, pieces, key=key, by="clerk", why="Too small", now=now).pk

    return act


def _cancel(order: Order, chance: random.Random) -> Act | None:
    if not _some(order, lambda line: line.to_send) or _is_sent_back_by_hand(order):
        return None
    who = chance.choice([Canceller.STAFF, Canceller.CUSTOMER])

    def act(key: str) -> int:
        by = "support" if who is Canceller.STAFF else ""
        cancel_paid(order, who, by=by, why="Changed their mind", now=database_now())
        return order.pk

    return act


def _is_sent_back_by_hand(order: Order) -> bool:
    """Nobody at these desks has the shop's account, from which a transfer is sent back."""
    return order.gateway == TRANSFER


def _refund(order: Order, part: Callable[[int], int]) -> Act | None:
    payment = order.payments.filter(status=PaymentStatus.PAID, is_surplus=False).first()
    left = refunds.refundable_minor(payment) if payment else 0
    if payment is None or not left or _is_sent_back_by_hand(order):
        return None
    amount_minor = part(left)

    def act(key: str) -> int:
        return _asked(payment, amount_minor, key)

    return act


# Among the digits of thousands of keys there is a card number now and then, which the audit finds.
LETTERS_FOR_DIGITS = str.maketrans("0123456789", "ghijklmnop")


def reason_of(key: str) -> str:
    """A refund's reason by which `after_sale` counts how often it was made, without a digit."""
    return f"Drill {key.translate(LETTERS_FOR_DIGITS)}"


def _asked(payment: Payment, amount_minor: int, key: str) -> int:
    return refunds.request_refund(
        payment,
        amount_minor=amount_minor,
        reason=reason_of(key),
        requested_by=None,
        key=key,
        now=database_now(),
    ).pk


def _refund_part(order: Order, chance: random.Random) -> Act | None:
    return _refund(order, lambda left: min(left, 100))


def _refund_all(order: Order, chance: random.Random) -> Act | None:
    return _refund(order, lambda left: left)


def _refund_pieces(order: Order, chance: random.Random) -> Act | None:
    either = [PaymentStatus.PAID, PaymentStatus.AUTHORISED]
    payment = order.payments.filter(status__in=either, is_surplus=False).first()
    lines = _some(order, lambda line: line.quantity - line.refunded)
    if payment is None or not lines:
        return None
    if not (refunds.refundable_minor(payment) or order.authorised_until):
        return None
    if _is_sent_back_by_hand(order):
        return None
    wanted = {chance.choice(lines).pk: RefundedPieces(1, chance.choice([0, 0, 1]))}

    def act(key: str) -> int:
        why, now = reason_of(key), database_now()
        made = refund_lines(payment, wanted, reason=why, requested_by=None, key=key, now=now)
        return made.pk

    return act


def _correct(order: Order, chance: random.Random) -> Act | None:
    address = address_of(order) | {"address": f"{chance.randrange(200)} Inkwell Lane"}
    seen = digest_of_address(order)

    def act(key: str) -> int:
        why, now = "Moved house", database_now()
        correct_address(order, address=address, seen=seen, by="support", why=why, now=now)
        return order.pk

    return act


def _some(order: Order, pieces: Callable[[OrderLine], Any]) -> list[OrderLine]:
    return [line for line in order.lines.all() if pieces(line) > 0]


Offer = Callable[[Order, random.Random], Act | None]

# Name → how often, and what is offered for an order.
CLERK: dict[str, tuple[int, Offer]] = {
    "send all": (5, _send_all),
    "send part": (4, _send_part),
    "undo a parcel": (2, _undo),
    "take a return in": (3, _take_in),
}
SUPPORT: dict[str, tuple[int, Offer]] = {
    "cancel": (2, _cancel),
    "refund a part": (2, _refund_part),
    "refund pieces": (4, _refund_pieces),
    "refund all": (1, _refund_all),
    "correct the address": (2, _correct),
    "take a return in": (1, _take_in),
}
