"""Erase what is stored of a person. What the books and the promise "a used token leads to its
order" need stays: numbers, references, amounts, digests, keys, the gateway's ids, and invoices for
as long as the law asks for them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from checkout.orders.history import note_staff
from checkout.orders.mail.address import one_spelling
from checkout.orders.models import Order
from checkout.orders.privacy.parts import PARTS_OF_ORDERS, PARTS_OF_PEOPLE
from checkout.orders.privacy.person import orders_of

ERASED = "Personal data erased"


@dataclass(frozen=True, kw_only=True)
class Kept:
    number: str
    why: list[str]


@dataclass(kw_only=True)
class Erased:
    orders: list[str] = field(default_factory=list)  # their numbers
    kept_orders: list[Kept] = field(default_factory=list)
    # What else was kept, in sentences.
    kept: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return not (self.kept_orders or self.kept)


def erase_order(order_id: int, *, by: str, why: str, now: datetime) -> list[str]:
    """Erase the person from an order, once. Returns why it is not finished, and was left as it is;
    empty: it is erased now, or was before."""
    with transaction.atomic():
        # Whoever pays, sends or refunds the order waits here, or is waited for.
        order = Order.objects.select_for_update().get(pk=order_id)
        if order.erased_at:
            return []
        parts = PARTS_OF_ORDERS.values()
        if reasons := [reason for part in parts for reason in part.unfinished(order)]:
            return reasons
        for part in parts:
            part.erase(order)
        note_staff(order.pk, ERASED, by=by, why=why, now=now)
    return []


def erase_person(
    email: str,
    *,
    by: str,
    why: str,
    now: datetime,
    progress: Callable[[int], None] = lambda done: None,
) -> Erased:
    """Erase the person's orders one by one, and then what is stored beside orders. Killed halfway,
    it goes on when it is repeated: an order that is erased is not found any more."""
    address, result = one_spelling(email), Erased()
    for done, order in enumerate(orders_of(address), 1):
        if reasons := erase_order(order.pk, by=by, why=why, now=now):
            result.kept_orders.append(Kept(number=order.number, why=reasons))
        else:
            result.orders.append(order.number)
        progress(done)
    for part in PARTS_OF_PEOPLE.values():
        with transaction.atomic():
            result.kept.extend(part.erase(address))
    return result
