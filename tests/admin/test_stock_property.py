"""Orders, refunds and two people at the stock, in any sequence: the movements add up to the stock,
which is never below zero, and nobody's count or correction undoes a sale."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import Sum
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from checkout.catalogue.models import Product, StockMovement
from checkout.catalogue.stock import OutOfStock
from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.cancelling import (
    CannotCancel,
    CannotRevive,
    cancel_paid,
    cancel_unpaid,
    revive,
)
from checkout.orders.dispatch.put_back import restock
from checkout.orders.dispatch.returns import ReturnedPieces, take_return
from checkout.orders.dispatch.ship import CannotShip, ship
from checkout.orders.models import Order
from checkout.orders.placing.place import place_order
from checkout.orders.states import PAID_FOR, Canceller, OrderStatus
from checkout.orders.stock.differences import count_differences
from checkout.orders.transitions import transition
from tests.support.audited import violations
from tests.support.factories import OpenBasket, line, purchase
from tests.support.long import long
from tests.support.shelves import on_the_shelf
from tests.support.shopper import read_form

pytestmark = pytest.mark.django_db(transaction=True)

Step = tuple[Any, ...]

PEOPLE, NUMBERS, PIECES = st.integers(0, 1), st.integers(0, 9), st.integers(1, 4)
CHANGES = st.integers(-6, 6).filter(bool)

RETURNING = ("comes back", "goes on sale")


def steps() -> st.SearchStrategy[list[Step]]:
    of_orders = [
        *("pays", "fails", "is cancelled", "is revived", "is refunded"),
        *("is sent", "is called off"),
    ]
    return st.lists(
        st.one_of(
            st.tuples(st.just("buys"), PIECES),
            st.tuples(st.sampled_from(of_orders), NUMBERS),
            st.tuples(st.sampled_from(RETURNING), NUMBERS, PIECES, st.booleans()),
            st.tuples(st.just("looks"), PEOPLE),
            st.tuples(st.just("counts"), PEOPLE, st.integers(0, 12), st.booleans()),
            st.tuples(st.just("changes"), PEOPLE, CHANGES, st.booleans()),
            st.tuples(st.just("describes"), PEOPLE),
        ),
        max_size=25,
    )


@dataclass
class Held:
    order: Order
    pieces: int
    sent: int = 0
    returned: int = 0
    restocked: int = 0
    is_cancelled: bool = False


@dataclass
class Pages:
    """What one person has open: how many pieces they saw, and the forms as they were."""

    client: Client
    seen: int = 0
    stock_form: dict[str, str] = field(default_factory=dict)
    product_form: dict[str, str] = field(default_factory=dict)


class World:
    """The shop, and what its stock must be: what was delivered, by the words of staff, less what
    orders hold."""

    def __init__(self, clients: list[Client]) -> None:
        run = secrets.token_hex(4).upper()
        product = Product(sku=run, name=run, slug=run.lower(), price_minor=100, stock=5)
        [self.product] = on_the_shelf([product])
        self.delivered = 5
        self.orders: list[Held] = []
        self.people = [Pages(client) for client in clients]
        for person in range(len(clients)):
            self.looks(person)

    @property
    def stock(self) -> int:
        held = (each for each in self.orders if not each.is_cancelled)
        return self.delivered - sum(each.pieces - each.restocked for each in held)

    def take(self, step: Step) -> None:
        name, *arguments = step
        getattr(self, name.replace(" ", "_"))(*arguments)

    # Orders

    def buys(self, pieces: int) -> None:
        basket = OpenBasket([line(self.product, pieces)])
        try:
            order = place_order(purchase(), basket, now=timezone.now())
        except OutOfStock:
            assert pieces > self.stock
            return
        self.orders.append(Held(order, pieces))

    def pays(self, number: int) -> None:
        self._move(number, OrderStatus.PAID, sources=[OrderStatus.PLACED])

    def fails(self, number: int) -> None:
        self._move(number, OrderStatus.PAYMENT_FAILED)

    def is_refunded(self, number: int) -> None:
        self._move(number, OrderStatus.REFUNDED)

    def is_cancelled(self, number: int) -> None:
        for each in self._picked(number):
            if cancel_unpaid(each.order, now=timezone.now()):
                each.is_cancelled = True

    def is_revived(self, number: int) -> None:
        for each in self._picked(number):
            with suppress(CannotRevive):
                revive(each.order, reason="Paid after all", now=timezone.now())
                assert each.is_cancelled
                assert each.pieces <= self.stock
                each.is_cancelled = False

    def is_sent(self, number: int) -> None:
        for each in self._picked(number):
            with suppress(CannotShip):
                ship(each.order, None, key=secrets.token_hex(8), by="a", now=timezone.now())
                each.sent = each.pieces

    def is_called_off(self, number: int) -> None:
        for each in self._picked(number):
            with suppress(CannotCancel):
                if cancel_paid(each.order, Canceller.STAFF, by="a", why="", now=timezone.now()):
                    each.restocked = each.pieces

    def comes_back(self, number: int, pieces: int, is_double_click: bool) -> None:
        on_sale = pieces // 2
        for each in self._picked(number):
            is_paid = each.order.status in PAID_FOR
            wanted = {each.order.lines.get().pk: ReturnedPieces(pieces, on_sale)}
            if self._does(
                partial(take_return, each.order, wanted),
                is_fine=is_paid and pieces <= each.sent - each.returned,
                is_double_click=is_double_click,
            ):
                each.returned += pieces
                each.restocked += on_sale

    def goes_on_sale(self, number: int, pieces: int, is_double_click: bool) -> None:
        for each in self._picked(number):
            wanted = {each.order.lines.get().pk: pieces}
            if self._does(
                partial(restock, each.order, wanted),
                is_fine=pieces <= each.returned - each.restocked,
                is_double_click=is_double_click,
            ):
                each.restocked += pieces

    def _does(self, act: Callable[..., object], *, is_fine: bool, is_double_click: bool) -> bool:
        key = secrets.token_urlsafe(24)
        for _ in range(1 + is_double_click):
            try:
                act(key=key, by="a", why="", now=timezone.now())
            except ActionImpossible:
                assert not is_fine
            else:
                assert is_fine
        return is_fine

    def _move(self, number: int, to: OrderStatus, **how: Any) -> None:
        for each in self._picked(number):
            transition(each.order.pk, to, reason="For the test", now=timezone.now(), **how)

    def _picked(self, number: int) -> Iterator[Held]:
        if self.orders:
            each = self.orders[number % len(self.orders)]
            each.order.refresh_from_db()
            yield each

    # Staff, each at a page that was opened some steps ago

    def looks(self, person: int) -> None:
        pages = self.people[person]
        pages.seen = self.stock
        pages.stock_form = self._opened(pages.client, "stock")
        pages.product_form = self._opened(pages.client, "change")

    def counts(self, person: int, pieces: int, is_double_click: bool) -> None:
        pages = self.people[person]
        is_fine = pages.seen == self.stock
        change = pieces - pages.seen
        typed = {"kind": "counted", "number": str(pieces)}
        self._enters(pages, typed, change if is_fine else 0, is_double_click)

    def changes(self, person: int, change: int, is_double_click: bool) -> None:
        is_fine = self.stock + change >= 0
        typed = {"kind": "corrected", "number": f"{change:+d}", "why": "Shelf 3"}
        self._enters(self.people[person], typed, change if is_fine else 0, is_double_click)

    def describes(self, person: int) -> None:
        pages = self.people[person]
        typed = {"description": secrets.token_hex(4)}
        pages.client.post(self._address("change"), pages.product_form | typed)
        pages.product_form = self._opened(pages.client, "change")

    def _enters(
        self, pages: Pages, typed: dict[str, str], change: int, is_double_click: bool
    ) -> None:
        for _ in range(1 + is_double_click):
            pages.client.post(self._address("stock"), pages.stock_form | typed)
        self.delivered += change
        # A new form, and still what was seen before: the next count may be of long ago.
        pages.stock_form |= {"key": secrets.token_urlsafe(24)}

    def _opened(self, client: Client, page: str) -> dict[str, str]:
        return read_form(client.get(self._address(page)).content.decode(), "")

    def _address(self, page: str) -> str:
        return f"/admin/catalogue/product/{self.product.pk}/{page}/"

    # What must be true

    def check(self) -> None:
        left = Product.objects.get(pk=self.product.pk).stock
        moved = StockMovement.objects.filter(product=self.product).aggregate(Sum("change"))
        assert left >= 0
        assert left == moved["change__sum"]
        assert left == self.stock, f"{self.delivered} delivered, {left} left"
        assert not count_differences()


@pytest.fixture
def people(transactional_db: None) -> list[Client]:
    clients = [Client(), Client()]
    for client, name in zip(clients, ["ada", "ben"], strict=True):
        client.force_login(User.objects.create_superuser(name))
    return clients


TRIES = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(TRIES, max_examples=8)
@given(steps=steps())
@example([("looks", 0), ("buys", 3), ("counts", 0, 5, False)])
@example([("counts", 0, 7, True), ("changes", 1, -2, True), ("describes", 1)])
@example([("buys", 3), ("describes", 0)])
@example([("buys", 2), ("fails", 0), ("is cancelled", 0), ("buys", 4), ("is revived", 0)])
@example([("buys", 2), ("fails", 0), ("is cancelled", 0), ("is revived", 0), ("buys", 3)])
@example(
    [
        *[("buys", 3), ("pays", 0), ("is sent", 0), ("is refunded", 0)],
        *[("comes back", 0, 2, True), ("comes back", 0, 2, False), ("comes back", 0, 1, False)],
        *[("goes on sale", 0, 2, True), ("goes on sale", 0, 1, False)],
    ]
)
@example([("buys", 3), ("pays", 0), ("is called off", 0), ("is sent", 0), ("is refunded", 0)])
def test_movements_are_the_stock_and_no_sale_is_undone(
    people: list[Client], steps: list[Step]
) -> None:
    happens(people, steps)


@long
@pytest.mark.timeout(400)  # forty sequences, each of many admin pages
@settings(TRIES, max_examples=40)
@given(steps=steps())
def test_longer_search_for_a_sale_that_is_undone(people: list[Client], steps: list[Step]) -> None:
    happens(people, steps)


def happens(people: list[Client], steps: list[Step]) -> None:
    world = World(people)

    for step in steps:
        world.take(step)
        world.check()

    now = timezone.now()
    assert violations(of="I7", now=now) == []
