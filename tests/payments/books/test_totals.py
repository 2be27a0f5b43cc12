"""The audit adds every total up again, and counts every code."""

from collections.abc import Callable

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from checkout.catalogue.models import DiscountCode, Product
from checkout.orders.models import CodeUse, Order, OrderLine
from tests.support.audited import findings_of
from tests.support.factories import placed_order
from tests.support.order_with_parts import (
    CODE,
    order_of_the_release_before,
    order_with_parts,
    rules_of_ireland,
)

PARTS, TAXES, CODES = (
    "Each order's total is the sum of its parts",
    "Each tax is the sum of its shares",
    "Each code's count is its live orders",
)

DROP_CHECK = "ALTER TABLE orders_order DROP CONSTRAINT orders_order_total_is_its_parts"


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    rules_of_ireland()
    return order_with_parts(shelf)


def wrong() -> dict[str, list[str]]:
    """The findings of this file's promises, by promise."""
    findings = findings_of("I6")
    assert [f.promise for f in findings] == [PARTS, TAXES, CODES]
    return {f.promise: f.rows for f in findings if f.count}


def test_orders_of_every_kind_are_in_order(order: Order, shelf: list[Product]) -> None:
    placed_order(shelf[2])
    order_of_the_release_before(shelf[0])
    order_with_parts(shelf, code="")

    assert wrong() == {}


def first_line(**values: object) -> int:
    return OrderLine.objects.filter(sku="SKU-01").update(**values)


def taxes(*pairs: tuple[str, int]) -> list[dict[str, object]]:
    return [{"percent": percent, "net_minor": 1, "tax_minor": tax} for percent, tax in pairs]


BREAKS: dict[str, tuple[Callable[[], object], str, str]] = {
    "a line costs more": (
        lambda: first_line(unit_price_minor=1002),
        PARTS,
        "goods 3004, discount 300, delivery 490, tax 536 contained; its lines: goods 3006",
    ),
    "a line's discount differs": (
        lambda: first_line(discount_minor=199),
        PARTS,
        "its lines: goods 3004, discount 299",
    ),
    "goods and total differ from the lines": (
        lambda: Order.objects.update(goods_minor=3005, total_minor=3195),
        PARTS,
        "total 3195, goods 3005",
    ),
    "a line without a rate": (
        lambda: first_line(tax_percent=None, tax_minor=0),
        PARTS,
        "1 of 2 with a tax rate",
    ),
    "an order of the release before with a discount": (
        lambda: Order.objects.update(goods_minor=None),
        PARTS,
        "goods none, discount 300",
    ),
    "the sum of the taxes": (
        lambda: Order.objects.update(tax_minor=537),
        TAXES,
        "tax 537, its rates 536",
    ),
    "taxes that are missing": (lambda: Order.objects.update(taxes=[]), TAXES, "its rates 0"),
    "lines with more tax than their rate has": (
        lambda: Order.objects.update(taxes=taxes(("23", 336), ("13.5", 200))),
        TAXES,
        "tax of 23 percent is 336, its lines have 337",
    ),
    "lines of a rate that the order does not have": (
        lambda: Order.objects.update(taxes=taxes(("23", 536))),
        TAXES,
        "tax of 13.5 percent is 0, its lines have 107",
    ),
    "lines with less tax where delivery is free": (
        lambda: Order.objects.update(delivery_minor=0, total_minor=F("total_minor") - 490),
        PARTS,
        "delivery 0, tax 536 contained; its lines: goods 3004, discount 300, tax 444",
    ),
    "a use that is not counted": (
        lambda: DiscountCode.objects.update(used=0),
        CODES,
        f"{CODE}: counted 0 times, live orders have it 1 times",
    ),
    "a count without a use": (
        lambda: (CodeUse.objects.all().delete(), Order.objects.update(discount_code="")),
        CODES,
        f"{CODE}: counted 1 times, live orders have it 0 times",
    ),
    "a code without a use": (
        lambda: (CodeUse.objects.all().delete(), DiscountCode.objects.update(used=0)),
        CODES,
        "order is placed, has a code, and its use is missing",
    ),
    "a use without a code": (
        lambda: Order.objects.update(discount_code=""),
        CODES,
        "order is placed, has no code, and its use is live",
    ),
    "a use that was given back too early": (
        lambda: (CodeUse.objects.update(is_live=False), DiscountCode.objects.update(used=0)),
        CODES,
        "order is placed, has a code, and its use is given back",
    ),
    "a use of a cancelled order": (
        lambda: Order.objects.update(status="cancelled"),
        CODES,
        "order is cancelled, has a code, and its use is live",
    ),
}


@pytest.mark.parametrize("broken_by", BREAKS)
def test_what_does_not_add_up_is_named(order: Order, broken_by: str) -> None:
    break_it, promise, said = BREAKS[broken_by]
    break_it()

    found = wrong()

    assert list(found) == [promise]
    assert any(said in row for row in found[promise])
    assert all(row.startswith((f"{order.number}: ", f"{CODE}: ")) for row in found[promise])


def test_total_that_the_database_would_refuse_is_named(order: Order) -> None:
    """As after a restore without constraints."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(DROP_CHECK)
        Order.objects.update(total_minor=3193)

        found = wrong()

        transaction.set_rollback(True)
    assert [row.partition(",")[0] for row in found[PARTS]] == [f"{order.number}: total 3193"]


@pytest.mark.parametrize(
    "part",
    [{"delivery_minor": 5}, {"tax_minor": 5}, {"delivery_method": "1"}, {"discount_code": "X"}],
    ids=str,
)
def test_order_of_the_release_before_has_no_parts(
    shelf: list[Product], part: dict[str, object]
) -> None:
    old = order_of_the_release_before(shelf[0])
    Order.objects.update(**part)

    assert any(old.number in row for row in wrong()[PARTS])


def test_as_many_statements_for_any_number_of_orders(order: Order, shelf: list[Product]) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert wrong() == {}
        return len(captured)

    with_one = statements()
    for _ in range(5):
        order_with_parts(shelf)
        placed_order(shelf[3])

    assert statements() == with_one
