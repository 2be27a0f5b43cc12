"""How many sequences there are, and what must be among them for a test to mean anything."""

import os
from collections import Counter

from checkout.orders.models import Order

# Of all parts together.
SEQUENCES = int(os.environ.get("TOTAL_SEQUENCES", "800"))
PARTS = 4


def what_it_had(order: Order) -> list[str]:
    return [
        "ordered",
        *(["with discount"] if order.discount_minor else []),
        *(["with delivery"] if order.delivery_minor else []),
        *(["with tax added"] if order.tax_minor and not order.prices_include_tax else []),
        *(["with tax inside"] if order.tax_minor and order.prices_include_tax else []),
        *(["with two rates"] if len(order.taxes) > 1 else []),
        *(["for nothing"] if not order.total_minor else []),
    ]


def assert_every_part_was_among_them(seen: Counter[str]) -> None:
    assert seen["asked again"] > 5, seen
    assert seen["ordered"] > 25, seen
    for part in ("discount", "delivery", "tax added", "tax inside", "two rates"):
        assert seen[f"with {part}"] > 2, seen
