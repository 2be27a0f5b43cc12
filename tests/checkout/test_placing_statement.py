"""One statement, and the same row by row: the same orders, the same refusals, under any race."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Model
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from checkout.cart import CartBasket, CartChanged, NotAsSeen
from checkout.catalogue.amounts import AmountRefused
from checkout.catalogue.models import Product
from checkout.catalogue.stock import OutOfStock
from checkout.models import Cart, CartLine
from checkout.orders.models import Order, WebhookEndpoint
from checkout.orders.placing import place
from checkout.orders.placing.place import PlacingUnavailable, place_order
from checkout.orders.placing.purchase import PlaceOrder, TotalChanged, basket_digest
from checkout.tokens import CheckoutToken
from tests.support.factories import purchase
from tests.support.lost_replies import reply_to_commit_lost
from tests.support.shelves import on_the_shelf
from tests.support.waiting import until_somebody_waits

pytestmark = pytest.mark.django_db(transaction=True)

# Different for any two orders, and no part of what a purchase asks for.
OF_ITS_OWN = {"id", "number", "reference", "checkout_id", "message_id", "created_at", "webhook_id"}


class RowByRow(CartBasket):
    def stored(self) -> None:
        return None


@dataclass(frozen=True)
class Line:
    price_minor: int
    stock: int
    quantity: int
    is_on_sale: bool


@dataclass(frozen=True)
class Scene:
    """A cart and what the form has seen of it."""

    lines: Sequence[Line]
    seen_version: int
    seen_more_minor: int
    is_closed: bool


LINES = st.builds(
    Line,
    # Cheap enough for totals of nothing, and for those that the gateway cannot take.
    price_minor=st.sampled_from([0, 20, 30, 60]),
    stock=st.integers(0, 20),
    quantity=st.integers(1, 3),
    is_on_sale=st.sampled_from([True] * 9 + [False]),
)
SCENES = st.builds(
    Scene,
    lines=st.lists(LINES, max_size=4),
    seen_version=st.sampled_from([4, 4, 4, 3]),
    seen_more_minor=st.sampled_from([0, 0, 0, 1]),
    is_closed=st.sampled_from([False, False, False, True]),
)


@dataclass(frozen=True)
class Staged:
    cart: Cart
    products: list[Product]
    wanted: PlaceOrder
    token: CheckoutToken


def stage(scene: Scene, now: datetime) -> Staged:
    run = secrets.token_hex(4).upper()
    products = on_the_shelf(
        Product(
            # Against the order of the lines: locks go by SKU.
            sku=f"{run}-{9 - n}",
            name=f"Thing {n}",
            slug=f"{run}-{n}",
            price_minor=line.price_minor,
            stock=line.stock,
            is_on_sale=line.is_on_sale,
        )
        for n, line in enumerate(scene.lines)
    )
    cart = Cart.objects.create(version=4, closed_at=now if scene.is_closed else None)
    CartLine.objects.bulk_create(
        CartLine(cart=cart, product=product, quantity=line.quantity)
        for product, line in zip(products, scene.lines, strict=True)
    )
    total = sum(line.price_minor * line.quantity for line in scene.lines)
    token = CheckoutToken(
        checkout_id=cart.pk,
        cart_version=scene.seen_version,
        total_minor=total + scene.seen_more_minor,
        currency=settings.SHOP_CURRENCY,
        basket_digest=basket_digest(
            (product.pk, line.quantity) for product, line in zip(products, scene.lines, strict=True)
        ),
        issued_at=now,
    )
    return Staged(cart, products, replace(purchase(cart.pk), customer_id=None), token)


def what_came_of(staged: Staged) -> dict[str, object]:
    """Every row that is there because of it, with what differs by chance left out."""
    places = {product.pk: n for n, product in enumerate(staged.products)}
    orders = Order.objects.filter(checkout_id=staged.cart.pk)
    rows: dict[str, object] = {"order": [told(order, places) for order in orders]}
    for relation in Order._meta.related_objects:
        related = relation.related_model._default_manager.filter(
            **{f"{relation.field.name}__in": orders}
        )
        rows[relation.related_model.__name__] = [
            told(row, places) for row in related.order_by("pk")
        ]
    staged.cart.refresh_from_db()
    rows["cart"] = (staged.cart.version, staged.cart.closed_at)
    in_order = Product.objects.filter(pk__in=places).order_by("pk")
    rows["stock"] = list(in_order.values_list("stock", flat=True))
    return rows


def told(row: Model, places: dict[int, int]) -> dict[str, object]:
    values: dict[str, Any] = {
        field.attname: getattr(row, field.attname)
        for field in row._meta.concrete_fields
        if field.name not in OF_ITS_OWN and not (field.is_relation and field.name != "product")
    }
    if "product_id" in values:
        values["product_id"] = places[values["product_id"]]
    if "sku" in values:
        values["sku"] = values["sku"].partition("-")[2]
    if "basket_digest" in values:
        values["basket_digest"] = bool(values["basket_digest"])
    return values


def told_of_orders() -> None:
    """One system is told of every kind, one is off, one wants no placing, and one was removed."""
    if not WebhookEndpoint.objects.exists():
        WebhookEndpoint.objects.create(url="https://erp.example/all")
        WebhookEndpoint.objects.create(url="https://erp.example/off", is_active=False)
        WebhookEndpoint.objects.create(url="https://erp.example/paid", kinds=["order.paid"])
        WebhookEndpoint.objects.create(url="https://erp.example/gone", removed_at=timezone.now())


@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(scene=SCENES)
@example(Scene([], 4, 0, is_closed=False))
@example(Scene([Line(30, 2, 2, is_on_sale=True), Line(0, 3, 1, is_on_sale=True)], 4, 0, False))
@example(Scene([Line(20, 2, 2, is_on_sale=True)], 4, 0, is_closed=False))
@example(Scene([Line(0, 2, 2, is_on_sale=True)], 4, 0, is_closed=False))
def test_both_ways_say_and_store_the_same(scene: Scene) -> None:
    told_of_orders()
    now = timezone.now()
    at_once, row_by_row = stage(scene, now), stage(scene, now)

    def outcome(act: Callable[[], Order | None]) -> str:
        try:
            return "placed" if act() else "nothing"
        except (
            NotAsSeen,
            OutOfStock,
            AmountRefused,
            TotalChanged,
            PlacingUnavailable,
        ) as error:
            return type(error).__name__

    basket = CartBasket(at_once.token, now)
    rows = RowByRow(row_by_row.token, now)
    by_statement = place._place_at_once(at_once.wanted, basket, now=now)
    with transaction.atomic():
        left = what_came_of(at_once)
    by_rows = outcome(lambda: place_order(row_by_row.wanted, rows, now=now))

    if at_once.token.total_minor == 0:  # the statement is not made for it
        assert by_statement is None
        assert outcome(lambda: place_order(at_once.wanted, basket, now=now)) == by_rows
        return
    assert (by_statement is not None) == (by_rows == "placed")
    assert left == what_came_of(row_by_row)
    if by_statement is None:  # then placing goes row by row, which says why
        assert outcome(lambda: place_order(at_once.wanted, basket, now=now)) == by_rows
    else:
        assert len(left["WebhookDelivery"]) == 2  # type: ignore[arg-type] # of any kind of row
        stored = Order.objects.get(pk=by_statement.pk)
        assert told(by_statement, {}) == told(stored, {})
        assert by_statement.number == stored.number
        assert stored.basket_digest == at_once.token.basket_digest


@pytest.fixture
def staged() -> Staged:
    lines = [Line(1000, 2, 1, is_on_sale=True), Line(500, 2, 2, is_on_sale=True)]
    return stage(Scene(lines, 4, 0, is_closed=False), timezone.now())


@pytest.fixture
def one_thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool
        pool.submit(lambda: connection.close()).result()


def press(staged: Staged) -> Order:
    now = timezone.now()
    return place_order(staged.wanted, CartBasket(staged.token, now), now=now)


def change_price(staged: Staged) -> None:
    Product.objects.filter(pk=staged.products[0].pk).update(price_minor=1)


def buy_the_last(staged: Staged) -> None:
    Product.objects.filter(pk=staged.products[1].pk).update(stock=F("stock") - 1)


def change_cart(staged: Staged) -> None:
    """Other goods for the same money."""
    Cart.objects.filter(pk=staged.cart.pk).update(version=F("version") + 1)
    line = CartLine.objects.filter(cart=staged.cart, product=staged.products[0])
    other = Product.objects.create(sku="OTHER", name="Other", slug="o", price_minor=1000, stock=9)
    line.update(product=other)


@pytest.mark.parametrize("endpoints", [0, 3])
def test_webhooks_of_a_cart_are_written_by_the_statement_that_places_it(
    staged: Staged, endpoints: int
) -> None:
    for number in range(endpoints):
        WebhookEndpoint.objects.create(url=f"https://erp.example/{number}")

    with CaptureQueriesContext(connection) as ran:
        order = press(staged)

    assert len([q for q in ran if "webhook" in q["sql"]]) == 1
    assert len([q for q in ran if "INSERT" in q["sql"]]) == 1
    assert order.webhook_deliveries.filter(kind="order.placed").count() == endpoints


def test_price_that_changes_while_the_press_waits_is_not_charged(
    staged: Staged, one_thread: ThreadPoolExecutor
) -> None:
    assert refused_after(change_price, staged, one_thread) is TotalChanged


def test_last_piece_that_goes_while_the_press_waits_is_not_sold_twice(
    staged: Staged, one_thread: ThreadPoolExecutor
) -> None:
    assert refused_after(buy_the_last, staged, one_thread) is OutOfStock


def test_cart_that_changes_while_the_press_waits_is_asked_about(
    staged: Staged, one_thread: ThreadPoolExecutor
) -> None:
    assert refused_after(change_cart, staged, one_thread) is CartChanged


def refused_after(
    change: Callable[[Staged], None], staged: Staged, one_thread: ThreadPoolExecutor
) -> type[BaseException] | None:
    """A change that is under way when the press comes, and committed while it waits."""
    with transaction.atomic():
        change(staged)
        pressed = one_thread.submit(press, staged)
        until_somebody_waits("waiting for the change")

    error = pressed.exception(timeout=20)
    assert not Order.objects.exists()
    assert Cart.objects.get(pk=staged.cart.pk).closed_at is None
    return type(error) if error else None


def test_change_that_is_taken_back_while_the_press_waits_is_no_change(
    staged: Staged, one_thread: ThreadPoolExecutor
) -> None:
    with transaction.atomic():
        change_price(staged)
        pressed = one_thread.submit(press, staged)
        until_somebody_waits("waiting for the change")
        transaction.set_rollback(True)

    assert pressed.result(timeout=20).total_minor == 2000


def test_other_goods_for_the_same_money_are_not_what_was_seen(staged: Staged) -> None:
    change_cart(staged)

    with pytest.raises(CartChanged):
        press(staged)

    assert not Order.objects.exists()


def test_eight_presses_at_once_make_one_order(staged: Staged) -> None:
    def press_beside_others(_: int) -> int:
        try:
            return press(staged).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        orders = set(pool.map(press_beside_others, range(8)))

    assert len(orders) == 1
    assert Order.objects.get().resubmission_count == 7


def test_checkout_id_that_is_taken_leads_to_its_order(staged: Staged) -> None:
    """By the constraint alone: the cart is open again, as after a restored backup of some rows."""
    first = press(staged)
    Cart.objects.update(closed_at=None)

    assert press(staged).pk == first.pk
    assert Product.objects.get(pk=staged.products[0].pk).stock == 1


@pytest.mark.parametrize("basket", [CartBasket, RowByRow])
def test_reply_to_commit_that_is_lost_leaves_an_order_with_its_message(
    staged: Staged, basket: type[CartBasket]
) -> None:
    now = timezone.now()

    with reply_to_commit_lost():
        order = place_order(staged.wanted, basket(staged.token, now), now=now)

    assert order.outbox_messages.count() == 1
    assert order.resubmission_count == 0


def test_placing_inside_a_transaction_is_refused(staged: Staged) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        press(staged)


def test_form_of_a_release_that_told_no_goods_is_placed_row_by_row(staged: Staged) -> None:
    older = replace(staged, token=replace(staged.token, basket_digest=""))

    order = press(older)

    assert order.basket_digest == staged.token.basket_digest
    assert order.placed_at - timezone.now() < timedelta(minutes=1)
