"""A discount code is counted once for an order, while that order is not cancelled."""

import re
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from checkout.catalogue.models import DiscountCode, Product
from checkout.orders.attention.reasons import PAID_AFTER_CANCELLATION, PAID_WITHOUT_ITS_CODE
from checkout.orders.cancelling import CannotRevive, cancel_free, cancel_unpaid, revive
from checkout.orders.code_uses import find_code
from checkout.orders.models import CodeUse, Order
from checkout.orders.placing.find_order import find_order
from checkout.orders.placing.place import place_order
from checkout.orders.placing.purchase import (
    BasketTaken,
    PlaceOrder,
    PurchaseLine,
    QuoteRefused,
)
from checkout.orders.placing.quoting import Terms, work_out
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from checkout.quotes.quote import Refusal
from payments.models import Refund
from payments.states import RefundStatus
from tests.payments.test_late_success import SaysPaid
from tests.support.codes import Watcher, counts_of, new_code
from tests.support.factories import OpenBasket, line, purchase
from tests.support.lost_replies import reply_to_commit_lost
from tests.support.processes import database_url
from tests.support.shopper import Shopper
from tests.support.till import Till
from tests.support.waiting import until_somebody_waits, wait_long_for_locks

SHOPPERS, PRESSES, LIMIT = 64, 3, 10


def with_code(code: DiscountCode | str, email: str = "ada@example.com") -> PlaceOrder:
    wanted = purchase(uuid.uuid4())
    customer = replace(wanted.customer, email=email)
    return replace(wanted, customer=customer, code=str(code))


@dataclass(frozen=True)
class OneBasket(OpenBasket):
    """Is locked by whoever takes it, and taken once, as a cart is."""

    checkout_id: uuid.UUID = field(kw_only=True)

    def take(self) -> Sequence[PurchaseLine]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [str(self.checkout_id)])
        if find_order(self.checkout_id):
            raise BasketTaken
        return super().take()


def buy(wanted: PlaceOrder, *products: Product) -> Order:
    basket = OneBasket([line(each) for each in products], checkout_id=wanted.checkout_id)
    return place_order(wanted, basket, now=timezone.now())


def unpaid(order: Order) -> Order:
    transition(order.pk, OrderStatus.PAYMENT_FAILED, reason="Declined", now=timezone.now())
    order.refresh_from_db()
    return order


def cancel(order: Order) -> bool:
    return cancel_unpaid(order, now=timezone.now())


def bring_back(order: Order) -> None:
    revive(order, reason="Paid after all", now=timezone.now())


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("summer-10", "SUMMER-10"),
        (" Summer–10 ", "SUMMER-10"),
        ("ＳＵＭＭＥＲ－１０", "SUMMER-10"),
        ("groß", "GROSS"),
        ("ındirim", "INDIRIM"),
        ("İNDİRİM", "INDIRIM"),
    ],
)
def test_code_is_found_however_it_was_typed(shelf: list[Product], typed: str, stored: str) -> None:
    code = new_code(stored, limit=1)

    order = buy(with_code(typed), shelf[0])

    assert (order.discount_code, order.discount_minor) == (stored, 100)
    assert counts_of(code) == (1, 1, 1)


@pytest.mark.parametrize("typed", ["no\0code", "Ä", "A B", "-A", "A" * 41, "\ud800", "A\nB", "١٢"])
def test_what_no_code_looks_like_is_not_looked_up(
    shelf: list[Product], typed: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        assert find_code(typed, "") is None
    terms = Terms(country="IE", code=typed)

    quote = work_out([shelf[0].quoted_line(1)], terms, now=timezone.now())

    assert quote.refusals == (Refusal.CODE_UNKNOWN,)


def test_purchase_counts_once_whatever_is_pressed(shelf: list[Product]) -> None:
    code = new_code(limit=1)
    wanted = with_code(code)

    orders = {buy(wanted, shelf[0]).pk for _ in range(3)}

    assert len(orders) == 1
    assert counts_of(code) == (1, 1, 1)


def test_purchase_counts_once_when_the_reply_to_commit_is_lost(shelf: list[Product]) -> None:
    code = new_code(limit=1)

    with reply_to_commit_lost():
        order = buy(with_code(code), shelf[0])

    assert order.discount_minor == 100
    assert counts_of(code) == (1, 1, 1)


def test_form_that_is_sent_three_times_counts_once(shelf: list[Product], shopper: Shopper) -> None:
    code = new_code(limit=1)
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout() | {"code": "tenth"}
    asked = shopper.submit(form)
    assert asked.status == 409  # the total is another one than was shown
    form |= {"token": re.findall(r'name="token" value="([^"]+)"', asked.text)[0]}

    answers = [shopper.submit(form) for _ in range(3)]

    assert [answer.status for answer in answers] == [303] * 3
    assert len({answer.location for answer in answers}) == 1
    assert counts_of(code) == (1, 1, 1)


def test_refused_purchase_counts_nothing(shelf: list[Product]) -> None:
    code = new_code(limit=1)
    buy(with_code(code), shelf[0])

    with pytest.raises(QuoteRefused, match="used up"):
        buy(with_code(code), shelf[-1])

    assert counts_of(code) == (1, 1, 1)
    assert Product.objects.get(pk=shelf[-1].pk).stock == 1


def test_code_is_given_back_when_its_order_is_cancelled(shelf: list[Product]) -> None:
    code = new_code(limit=1, per_customer=1)
    order = unpaid(buy(with_code(code), shelf[0]))

    assert [cancel(order), cancel(order)] == [True, False]

    assert counts_of(code) == (0, 0, 0)
    assert buy(with_code(code), shelf[0]).discount_minor == 100


def test_code_is_taken_again_when_its_order_is_revived(shelf: list[Product]) -> None:
    code = new_code(limit=1)
    order = unpaid(buy(with_code(code), shelf[0]))
    cancel(order)

    bring_back(order)
    with pytest.raises(CannotRevive):
        bring_back(order)

    assert counts_of(code) == (1, 1, 1)


@pytest.mark.parametrize(
    "change",
    [{"code": "ANOTHER"}, {"is_on": False}, {"ends_on": "2020-01-01"}, {"percent": 90}],
    ids=lambda change: next(iter(change)),
)
def test_order_is_revived_whatever_staff_made_of_its_code(
    shelf: list[Product], change: dict[str, object]
) -> None:
    code = new_code(limit=1)
    order = unpaid(buy(with_code(code), shelf[0]))
    cancel(order)
    DiscountCode.objects.update(**change)

    bring_back(order)

    order.refresh_from_db()
    assert (order.status, order.discount_minor) == (OrderStatus.PAID, 100)
    assert DiscountCode.objects.get().used == 1


@pytest.mark.parametrize("is_of_the_same_customer", [False, True])
def test_late_payment_of_an_order_whose_code_is_gone_goes_back(
    shelf: list[Product], till: Till, is_of_the_same_customer: bool
) -> None:
    code = new_code(per_customer=1) if is_of_the_same_customer else new_code(limit=1)
    declined = replace(with_code(code), payment_method="pm_card_chargeDeclined")
    order = buy(declined, shelf[0])
    till.settle(order)
    order.refresh_from_db()
    cancel(order)
    buy(with_code(code), shelf[0])  # has the code now

    Till(till.sandbox_url, SaysPaid(till.gateway)).check(order)

    order.refresh_from_db()
    assert (order.status, order.needs_person) == (OrderStatus.CANCELLED, PAID_WITHOUT_ITS_CODE)
    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.status) == (order.total_minor, RefundStatus.PREPARED)
    assert refund.reason == PAID_WITHOUT_ITS_CODE
    assert counts_of(code) == (1, 1, 1)
    assert Product.objects.get(pk=shelf[0].pk).stock == 99_999


def test_goods_that_are_gone_are_named_before_the_code(shelf: list[Product]) -> None:
    code = new_code(limit=1)
    order = unpaid(buy(with_code(code), shelf[-1]))
    cancel(order)
    buy(with_code(""), shelf[-1])

    with pytest.raises(CannotRevive) as cannot:
        bring_back(order)

    assert cannot.value.reason == PAID_AFTER_CANCELLATION
    assert counts_of(code) == (0, 0, 0)


def test_order_that_a_code_makes_free_is_counted_and_given_back(shelf: list[Product]) -> None:
    code = new_code(percent=100, limit=1)
    wanted = with_code(code)

    orders = [buy(wanted, shelf[0]) for _ in range(2)]

    assert [order.status for order in orders] == [OrderStatus.PAID] * 2
    assert orders[0].total_minor == 0
    assert counts_of(code) == (1, 1, 1)
    for is_cancelled in (True, False):
        assert cancel_free(orders[0], reason="So asked", now=timezone.now()) is is_cancelled
    assert counts_of(code) == (0, 0, 0)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ("UPDATE catalogue_discountcode SET code = 'RENAMED'", Refusal.CODE_UNKNOWN),
        ("DELETE FROM catalogue_discountcode", Refusal.CODE_UNKNOWN),
        ('UPDATE catalogue_discountcode SET "limit" = 0', Refusal.CODE_USED_UP),
        ("UPDATE catalogue_discountcode SET per_customer = 0", Refusal.CODE_USED_BY_CUSTOMER),
    ],
    ids=["renamed", "deleted", "lowered", "lowered for each customer"],
)
def test_code_is_judged_as_it_is_after_the_wait_for_its_lock(
    shelf: list[Product], change: str, refusal: Refusal
) -> None:
    code = new_code(limit=5)

    def press() -> tuple[Refusal, ...]:
        wait_long_for_locks()
        try:
            buy(with_code(code), shelf[0])
        except QuoteRefused as refused:
            return refused.refusals
        finally:
            connection.close()
        return ()

    with psycopg.connect(database_url()) as staff, ThreadPoolExecutor(1) as pool:
        staff.execute(change)
        pressed = pool.submit(press)
        until_somebody_waits()
        staff.commit()

        assert pressed.result() == (refusal,)
    assert not Order.objects.exists()
    assert Product.objects.get(pk=shelf[0].pk).stock == 100_000


LOCKS = {
    "order": r'SELECT .* FROM "orders_order" .* FOR UPDATE|UPDATE "?orders_order"? |'
    r"INSERT INTO \"orders_order\"",
    "products": r"UPDATE catalogue_product ",
    "code": r'SELECT .* FROM "catalogue_discountcode" .* FOR UPDATE|'
    r'UPDATE "catalogue_discountcode" ',
}


def locked_by(act: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        act()
    locked: list[str] = []
    for query in captured:
        for what, pattern in LOCKS.items():
            if what not in locked and re.search(pattern, query["sql"], re.DOTALL):
                locked.append(what)
    return locked


def test_everybody_locks_the_code_last(shelf: list[Product]) -> None:
    code, placed = new_code(), list[Order]()

    def place() -> None:
        placed.append(buy(with_code(code), shelf[0]))

    assert locked_by(place) == ["order", "products", "code"]
    order = unpaid(placed[0])
    assert locked_by(partial(cancel, order)) == ["order", "products", "code"]
    assert locked_by(partial(bring_back, order)) == ["order", "products", "code"]


def in_threads(acts: list[Callable[[], object]], threads: int) -> None:
    def run(act: Callable[[], object]) -> None:
        wait_long_for_locks()
        try:
            act()
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        for each in [pool.submit(run, act) for act in acts]:
            each.result()


def test_one_customer_at_many_devices_has_the_code_once(shelf: list[Product]) -> None:
    code = new_code(per_customer=1)
    together = threading.Barrier(16, timeout=60)

    def press(n: int) -> None:  # no two for the same product, on which they would wait before
        basket = OpenBasket([line(shelf[n])], before=together.wait)
        with suppress(QuoteRefused):
            place_order(with_code(code), basket, now=timezone.now())

    in_threads([partial(press, n) for n in range(16)], 16)

    assert counts_of(code) == (1, 1, 1)


def test_sixty_four_shoppers_at_once_have_ten_uses_between_them(shelf: list[Product]) -> None:
    code = new_code(limit=LIMIT)
    wanted = [with_code(code, f"shopper-{n}@example.com") for n in range(SHOPPERS)]

    def press(n: int) -> Order | None:
        with suppress(QuoteRefused):
            return buy(wanted[n], shelf[n % 3])
        return None

    def press_and_think_again(n: int) -> None:
        order = press(n)
        if order and n % 3:
            with suppress(CannotRevive):
                cancel(unpaid(order))
                if n % 3 == 2:
                    bring_back(order)

    acts: list[Callable[[], object]] = [
        partial(press, n) for _ in range(PRESSES - 1) for n in range(SHOPPERS)
    ]
    acts += [partial(press_and_think_again, n) for n in range(SHOPPERS)]
    with Watcher() as watcher:
        in_threads(acts, SHOPPERS)

    assert len(watcher.seen) > 10
    assert watcher.too_many(LIMIT) == []
    assert len(set(counts_of(code))) == 1
    assert max(used for used, *_ in watcher.seen) == LIMIT
    # Of each purchase one order at most, and a use for each order that has the code.
    assert CodeUse.objects.count() == Order.objects.count()
    for n in range(SHOPPERS):  # what was given back can be had
        press(n)
    assert counts_of(code) == (LIMIT, LIMIT, LIMIT)


def test_cancelling_and_ordering_the_same_again_never_wait_in_a_circle(
    shelf: list[Product], caplog: pytest.LogCaptureFixture
) -> None:
    """The order beside a similar one names it in an event, and has its goods and its code."""
    code = new_code()
    first = unpaid(buy(with_code(code), shelf[0]))

    with psycopg.connect(database_url()) as canceller, ThreadPoolExecutor(2) as pool:
        canceller.execute("SELECT FROM orders_order WHERE id = %s FOR UPDATE", [first.pk])

        def order_again() -> Order:
            wait_long_for_locks()
            try:
                return buy(replace(with_code(code), again_of=first), shelf[0])
            finally:
                connection.close()

        ordered = pool.submit(order_again)
        until_somebody_waits()
        canceller.execute("SET lock_timeout = '60s'")
        canceller.execute("SELECT FROM catalogue_product WHERE id = %s FOR UPDATE", [shelf[0].pk])
        canceller.execute("SELECT FROM catalogue_discountcode FOR UPDATE")
        canceller.commit()

        assert ordered.result().discount_minor == 100
    assert counts_of(code) == (2, 2, 2)
    assert "Placing lost its database connection or waited too long" not in caplog.text
