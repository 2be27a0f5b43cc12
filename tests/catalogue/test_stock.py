"""Each change of stock is a movement, and movements are only ever added."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.utils import timezone

from checkout.catalogue.models import Product, StockMovement
from checkout.catalogue.stock_changes import StaffEntry, change_stock, count_stock
from checkout.orders.cancelling import CannotRevive, cancel_unpaid, revive
from checkout.orders.models import Order
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from tests.support.audited import violations
from tests.support.factories import placed_order

Kind = StockMovement.Kind


def moves_of(order: Order) -> list[tuple[str, int]]:
    return list(order.stock_movements.values_list("kind", "change"))


def unpaid(product: Product) -> Order:
    order = placed_order(product)
    failed = OrderStatus.PAYMENT_FAILED
    transition(order.pk, failed, reason="Declined", now=timezone.now())
    order.refresh_from_db()
    return order


def broken() -> list[str]:
    return violations(of="I7")


def test_order_leaves_a_movement_when_placed_cancelled_and_revived(shelf: list[Product]) -> None:
    order = unpaid(shelf[0])

    cancel_unpaid(order, now=timezone.now())
    revive(order, reason="Paid after all", now=timezone.now())

    assert moves_of(order) == [("placed", -1), ("released", 1), ("revived", -1)]
    assert broken() == []


def test_revival_that_finds_too_little_leaves_no_movement(shelf: list[Product]) -> None:
    order = unpaid(shelf[-1])
    cancel_unpaid(order, now=timezone.now())
    placed_order(shelf[-1])

    with pytest.raises(CannotRevive, match="sold out"):
        revive(order, reason="Paid after all", now=timezone.now())

    assert moves_of(order) == [("placed", -1), ("released", 1)]


@pytest.mark.parametrize(
    "rewrite", [lambda rows: rows.update(change=5), lambda rows: rows.delete()]
)
def test_database_lets_nobody_rewrite_a_movement(
    shelf: list[Product], rewrite: Callable[[object], object]
) -> None:
    with pytest.raises(DatabaseError, match="only added"), transaction.atomic():
        rewrite(StockMovement.objects.filter(product=shelf[0]))

    assert broken() == []


def test_product_that_has_movements_is_not_deleted(shelf: list[Product]) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        Product.objects.filter(pk=shelf[0].pk)._raw_delete("default")


def entry(product: Product, key: str) -> StaffEntry:
    return StaffEntry(product_id=product.pk, by="ada", why="", key=key)


def test_eight_people_at_once_lose_no_piece(shelf: list[Product]) -> None:
    product = shelf[0]

    def act(n: int) -> None:
        try:
            if n % 2:
                placed_order(product)
            else:
                change_stock(entry(product, f"key-{n}"), kind=Kind.RECEIVED, change=10)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(32)))

    assert Product.objects.get(pk=product.pk).stock == 100_000 + 160 - 16
    assert broken() == []


def test_same_form_twice_at_once_is_one_movement(shelf: list[Product]) -> None:
    product = shelf[0]

    def count(_: int) -> int:
        try:
            return count_stock(entry(product, "one"), counted=7, seen=100_000).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(count, range(4)))) == 1

    assert Product.objects.get(pk=product.pk).stock == 7


# What a release without movements leaves behind


def sold_by_the_release_before(product: Product) -> Order:
    """Its order and its stock, as they are stored by code that knows no movements."""
    order = placed_order(product)
    forgotten = "DELETE FROM catalogue_stockmovement WHERE order_id = %s"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE catalogue_stockmovement DISABLE TRIGGER USER")
        cursor.execute(forgotten, [order.pk])
        cursor.execute("ALTER TABLE catalogue_stockmovement ENABLE TRIGGER USER")
    return order


def cancelled_by_the_release_before(order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(status=OrderStatus.CANCELLED)
    Product.objects.filter(pk__in=order.lines.values("product")).update(stock=F("stock") + 1)


def reconcile(*options: str) -> str:
    out = StringIO()
    call_command("reconcile_stock", *options, stdout=out)
    return out.getvalue()


def test_what_the_release_before_wrote_is_named_and_then_recorded(shelf: list[Product]) -> None:
    old, other, third = shelf[:3]
    sold_by_the_release_before(old)  # before any other: not looked at by itself
    mine = placed_order(other)
    cancelled_by_the_release_before(mine)
    theirs = sold_by_the_release_before(third)
    assert any(mine.number in row for row in broken())
    assert any(theirs.number in row for row in broken())
    assert any("SKU-01: stock 99999, movements say 100000" in row for row in broken())
    with pytest.raises(CommandError):
        reconcile()

    said = reconcile("--repair", "--by", "ada")

    assert said == "Added movements for 2 lines of orders and 1 products.\n"
    assert broken() == []
    stocks = Product.objects.filter(pk__in=[p.pk for p in shelf[:3]]).order_by("sku")
    assert list(stocks.values_list("stock", flat=True)) == [99_999, 100_000, 99_999]
    recorded = StockMovement.objects.filter(kind=Kind.CORRECTED)
    assert {(m.actor, m.explanation) for m in recorded} == {
        ("ada", "Written by the release before")
    }
    assert "0 lines of orders and 0 products" in reconcile("--repair")
    assert "0 lines of orders and 0 products" in reconcile()


def test_order_from_before_movements_is_cancelled_and_restocked_like_any_other(
    shelf: list[Product],
) -> None:
    order = sold_by_the_release_before(shelf[0])
    reconcile("--repair")
    placed_order(shelf[1])
    Order.objects.filter(pk=order.pk).update(status=OrderStatus.PAYMENT_FAILED)

    cancel_unpaid(order, now=timezone.now())

    assert Product.objects.get(pk=shelf[0].pk).stock == 100_000
    assert broken() == []


def test_stock_that_somebody_wrote_with_sql_is_named(shelf: list[Product]) -> None:
    Product.objects.filter(pk=shelf[0].pk).update(stock=50)

    assert broken() == ["SKU-01: stock 50, movements say 100000"]


def test_more_that_came_back_than_was_bought_is_named(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    for _ in range(2):
        StockMovement.objects.create(product=shelf[0], order=order, kind=Kind.RESTOCKED, change=1)

    assert f"{order.number}: SKU-01: 2 came back" in broken()
