import logging
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.catalogue.stock import OutOfStock
from checkout.models import Cart, CartLine, new_checkout_id
from checkout.orders.limits.rates import read_rates
from checkout.orders.models import Order, OrderEvent, OutboxMessage
from checkout.orders.placing.find_order import find_order
from checkout.orders.placing.place import PlacingUnavailable, place_order
from checkout.orders.placing.purchase import BasketTaken
from tests.support.factories import OpenBasket, line, placed_order, purchase
from tests.support.shopper import Shopper
from tests.support.waiting import wait_long_for_locks


def test_order_is_stored_with_lines_event_message_and_stock(shelf: list[Product]) -> None:
    order = placed_order(shelf[0], shelf[1])

    assert order.total_minor == 2003
    assert order.status == "placed"
    assert order.lines.count() == 2
    assert list(order.events.values_list("from_status", "to_status")) == [("", "placed")]
    assert list(order.outbox_messages.values_list("kind", "published_at")) == [
        ("settle_payment", None)
    ]
    assert Product.objects.get(pk=shelf[0].pk).stock == 99_999


def test_the_constraint_alone_keeps_a_checkout_id_to_one_order(shelf: list[Product]) -> None:
    wanted, basket = purchase(), OpenBasket([line(shelf[0])])

    first = place_order(wanted, basket, now=timezone.now())
    second = place_order(wanted, basket, now=timezone.now())

    assert second.pk == first.pk
    assert Product.objects.get(pk=shelf[0].pk).stock == 99_999


def test_sixteen_at_once_without_a_cart_lock_make_one_order(shelf: list[Product]) -> None:
    wanted = purchase()
    barrier = threading.Barrier(16, timeout=60)

    def submit(_: int) -> int:
        wait_long_for_locks()
        try:
            basket = OpenBasket([line(shelf[0])], before=barrier.wait)
            return place_order(wanted, basket, now=timezone.now()).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        orders = set(pool.map(submit, range(16)))

    assert len(orders) == 1
    order = Order.objects.get()
    assert order.resubmission_count == 15
    assert Product.objects.get(pk=shelf[0].pk).stock == 99_999


def test_other_violations_are_not_taken_for_a_resubmission(shelf: list[Product]) -> None:
    twice_the_same_line = OpenBasket([line(shelf[0]), line(shelf[0])])

    with pytest.raises(IntegrityError):
        place_order(purchase(), twice_the_same_line, now=timezone.now())

    assert not Order.objects.exists()


def test_taken_basket_without_an_order_is_never_guessed(shelf: list[Product]) -> None:
    def taken() -> None:
        raise BasketTaken

    with pytest.raises(PlacingUnavailable):
        place_order(purchase(), OpenBasket([], before=taken), now=timezone.now())


def test_failure_after_the_lines_stores_nothing(shelf: list[Product]) -> None:
    with pytest.raises(OutOfStock):
        place_order(
            purchase(), OpenBasket([line(shelf[0]), line(shelf[-1], 2)]), now=timezone.now()
        )

    assert not Order.objects.exists()
    assert not OutboxMessage.objects.exists()
    assert Product.objects.get(pk=shelf[0].pk).stock == 100_000


def test_lost_connection_is_tried_again_under_the_same_checkout_id(shelf: list[Product]) -> None:
    failures = iter([OperationalError("gone"), OperationalError("gone again")])

    def fail_twice() -> None:
        if error := next(failures, None):
            raise error

    wanted = purchase()
    order = place_order(wanted, OpenBasket([line(shelf[0])], fail_twice), now=timezone.now())

    assert order.checkout_id == wanted.checkout_id
    assert order.resubmission_count == 0


def test_connection_lost_again_while_looking_the_order_up_is_replaced(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([OperationalError("gone")])
    look_ups = []

    def fail_once() -> None:
        if error := next(failures, None):
            raise error

    def look_up_over_a_dying_connection(checkout_id: uuid.UUID) -> Order | None:
        look_ups.append(checkout_id)
        if len(look_ups) == 1:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return find_order(checkout_id)

    monkeypatch.setattr("checkout.orders.placing.place.find_order", look_up_over_a_dying_connection)
    wanted = purchase()
    order = place_order(wanted, OpenBasket([line(shelf[0])], fail_once), now=timezone.now())

    assert order.checkout_id == wanted.checkout_id
    assert len(look_ups) == 2


def test_restart_of_two_seconds_is_waited_for(shelf: list[Product]) -> None:
    is_back_at = time.monotonic() + 2

    def fail_while_it_restarts() -> None:
        if time.monotonic() < is_back_at:
            raise OperationalError("the database system is starting up")

    basket = OpenBasket([line(shelf[0])], fail_while_it_restarts)

    assert place_order(purchase(), basket, now=timezone.now()) == Order.objects.get()


def test_database_that_stays_away_is_said_and_not_guessed(
    shelf: list[Product], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checkout.orders.placing.place.PATIENCE_SECONDS", 0)
    attempts = []

    def fail() -> None:
        attempts.append(1)
        raise OperationalError("gone")

    with pytest.raises(PlacingUnavailable):
        place_order(purchase(), OpenBasket([], fail), now=timezone.now())

    assert len(attempts) == 3
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 3


def test_three_pieces_make_three_orders_however_many_ask(shelf: list[Product]) -> None:
    Product.objects.filter(pk=shelf[-1].pk).update(stock=3)

    def buy(_: int) -> bool:
        try:
            placed_order(shelf[-1])
        except OutOfStock:
            return False
        else:
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        bought = list(pool.map(buy, range(12)))

    assert sum(bought) == 3
    assert Product.objects.get(pk=shelf[-1].pk).stock == 0


def follow_the_order_that_was_asked_for() -> None:
    """A plan that the database may choose on a large table: row by row, by the index."""
    with connection.cursor() as cursor:
        # On paper these cost so much that Postgres would compile each statement for a second.
        for other_way in ("enable_hashjoin", "enable_mergejoin", "enable_seqscan", "jit"):
            cursor.execute(f"SET LOCAL {other_way} = off")


def test_orders_for_the_same_products_do_not_deadlock(
    shelf: list[Product], caplog: pytest.LogCaptureFixture
) -> None:
    def buy(turn: int) -> int:
        try:
            products = shelf[:10] if turn % 2 else shelf[9::-1]
            lines = [line(product) for product in products]
            basket = OpenBasket(lines, before=follow_the_order_that_was_asked_for)
            return place_order(purchase(), basket, now=timezone.now()).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        orders = set(pool.map(buy, range(80)))

    assert len(orders) == 80
    assert Product.objects.get(pk=shelf[0].pk).stock == 100_000 - 80
    # A deadlock would have been tried again, in silence otherwise.
    assert caplog.messages == ["Order placed"] * 80


def test_repeat_that_cannot_be_counted_still_gets_the_order(
    shopper: Shopper, monkeypatch: pytest.MonkeyPatch
) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    first = shopper.submit(form)

    def fail(**fields: object) -> None:
        raise OperationalError("lock timeout")

    monkeypatch.setattr(OrderEvent.objects, "create", fail)
    second = shopper.submit(form)

    assert second == first


def test_numbers_and_references_differ(shelf: list[Product]) -> None:
    orders = [placed_order(shelf[0]) for _ in range(20)]

    assert len({order.number for order in orders}) == 20
    assert len({order.reference for order in orders}) == 20
    assert all(len(order.reference) == 22 for order in orders)  # 128 bits in base 64


def statements_of_a_purchase(shopper: Shopper, lines: int) -> list[str]:
    """Of the whole press: session, look-up, limits and what stores the order."""
    shopper.add_to_cart("SKU-01")
    more = Product.objects.bulk_create(
        Product(sku=f"MORE-{n}", name=f"More {n}", slug=f"more-{n}", price_minor=n, stock=1)
        for n in range(1, lines)
    )
    cart = Cart.objects.latest("created_at")
    CartLine.objects.bulk_create(CartLine(cart=cart, product=each, quantity=1) for each in more)
    form = shopper.open_checkout()
    with CaptureQueriesContext(connection) as captured:
        assert shopper.submit(form).status == 303
    assert Order.objects.latest("id").lines.count() == lines
    return [query["sql"] for query in captured.captured_queries]


def test_placing_runs_the_same_few_statements_for_1_and_50_lines(
    shopper: Shopper, another_shopper: Shopper, settings: Settings
) -> None:
    settings.LIMIT_PLACING = read_rates("session 20/10m, address 120/10m, shop 60000/10m")
    settings.LIMIT_DECLINES = read_rates("session 5/1h, address 20/1h, shop 500/1h")

    one = statements_of_a_purchase(shopper, 1)
    fifty = statements_of_a_purchase(another_shopper, 50)

    print(f"\nSQL statements to place an order: {len(one)} for 1 line, {len(fifty)} for 50")
    assert len(one) == len(fifty) <= 8


def test_checkout_ids_are_128_bits(shelf: list[Product]) -> None:
    ids = [new_checkout_id() for _ in range(64)]

    assert len(set(ids)) == 64
    assert any(checkout_id.version != 4 for checkout_id in ids)  # no bit of them is fixed
    assert all(isinstance(checkout_id, uuid.UUID) for checkout_id in ids)
