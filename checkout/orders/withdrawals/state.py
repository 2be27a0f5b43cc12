"""A customer states a withdrawal: recorded once, with its second.

The request stores and reads the same by the same statements whether there is such an order or not,
so that neither words nor time tell a stranger which orders there are. What belongs to an order
follows within a second, by `take_up`.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from checkout.orders.models import Withdrawal
from checkout.orders.numbers import parse_order_number

LONGEST_ABOUT = 1000  # the column


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What a customer has typed, or found filled in."""

    number: str
    full_name: str
    email: str
    about: str = ""  # empty: all of the order

    @property
    def order_number(self) -> str:
        """In the form in which orders keep it; empty for what cannot be an order's number."""
        return parse_order_number(self.number) or ""


def state_withdrawal(stated: Stated, *, key: str, language: str, now: datetime) -> datetime:
    """Record the statement, and return the time at which it counts as stated. The same key again is
    the same statement. While a statement about that number and address waits for its decision,
    another one is added to it and has its time."""
    row = Withdrawal(
        key=key,
        number=stated.order_number or stated.number,
        full_name=stated.full_name,
        email=stated.email,
        about=stated.about,
        language=language,
        stated_at=now,
    )
    with transaction.atomic():
        # The constraints decide whether it is new: the key's, and the one for open statements.
        Withdrawal.objects.bulk_create([row], ignore_conflicts=True)
        recorded = _recorded(row)
        if recorded is not None:
            _add(recorded, row, now=now)
            return recorded.stated_at
    # Staff decided about the open one between the two statements above, so there is room now.
    return state_withdrawal(stated, key=key, language=language, now=now)


def stated_before(key: str) -> datetime | None:
    """When the statement with this key was recorded. None: it was not, or was added to another."""
    return Withdrawal.objects.filter(key=key).values_list("stated_at", flat=True).first()


def _recorded(row: Withdrawal) -> Withdrawal | None:
    is_open = Q(email__iexact=row.email, number=row.number, status=Withdrawal.Status.STATED)
    found = Withdrawal.objects.select_for_update().filter(Q(key=row.key) | is_open)
    return min(found, key=lambda each: each.key != row.key, default=None)


def _add(recorded: Withdrawal, row: Withdrawal, *, now: datetime) -> None:
    """Keep what a further statement is about, as far as there is room."""
    if recorded.key == row.key or row.about == recorded.about:
        return
    more = f"{now:%Y-%m-%d %H:%M} UTC: {row.about or 'all of the order'}"
    if f": {row.about or 'all of the order'}" in recorded.about:
        return
    about = "\n".join([recorded.about or "All of the order", more])
    if len(about) <= LONGEST_ABOUT:
        Withdrawal.objects.filter(pk=recorded.pk).update(about=about)
