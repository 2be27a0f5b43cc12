"""Which app stores what of a person. Each app names its own (`register` when it is loaded), as with
the ends of old rows: so an export lacks nothing and erasing leaves nothing, whoever stores it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from checkout.orders.models import Order


def _nothing(order: Order) -> None:
    pass


def _no_reasons(order: Order) -> list[str]:
    return []


@dataclass(frozen=True, kw_only=True)
class PartOfOrder:
    """What one app stores with an order."""

    name: str  # in the exported document
    export: Callable[[Order], object]
    # Both run in a transaction that holds the order's lock.
    erase: Callable[[Order], None] = _nothing
    # Why the order is not finished, so that its customer's data is still needed.
    unfinished: Callable[[Order], Sequence[str]] = _no_reasons


@dataclass(frozen=True, kw_only=True)
class PartOfPerson:
    """What one app stores under an e-mail address beside orders. The address comes in its one
    spelling."""

    name: str
    export: Callable[[str], object]
    # Returns why something was kept; empty where nothing was.
    erase: Callable[[str], Sequence[str]]


PARTS_OF_ORDERS: dict[str, PartOfOrder] = {}
PARTS_OF_PEOPLE: dict[str, PartOfPerson] = {}


def register(*parts: PartOfOrder | PartOfPerson) -> None:
    for part in parts:
        if isinstance(part, PartOfOrder):
            PARTS_OF_ORDERS[part.name] = part
        else:
            PARTS_OF_PEOPLE[part.name] = part


def columns(row: Model, *left_out: str) -> dict[str, Any]:
    """All that a row holds, by the names of its fields."""
    fields = [field for field in row._meta.concrete_fields if field.name not in left_out]
    return {field.name: field.value_from_object(row) for field in fields}
