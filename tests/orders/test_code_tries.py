"""Whoever guesses discount codes is told nothing after a few of them."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from checkout.catalogue.models import DiscountCode, Product
from checkout.orders.limits.limits import Visitor
from checkout.orders.limits.rates import read_rates
from checkout.orders.models import LimitCount, Order
from checkout.orders.placing.place import place_order
from checkout.orders.placing.purchase import PlaceOrder, QuoteRefused
from checkout.orders.placing.quoting import Terms, work_out
from checkout.quotes.quote import Quote, Refusal
from tests.support.codes import new_code
from tests.support.factories import OpenBasket, line, purchase
from tests.support.shopper import Answer, Shopper

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
GUESSER = Visitor.known_by(nonce="the-nonce", address="203.0.113.9")

TOO_MANY = (Refusal.CODE_TOO_MANY_TRIES,)


@pytest.fixture(autouse=True)
def _three_tries(settings: Settings) -> None:
    settings.LIMIT_CODES = read_rates("session 3/10m, address 5/10m, shop 9/10m")


@pytest.fixture
def code(shelf: list[Product]) -> DiscountCode:
    return new_code()


def try_code(
    typed: str, product: Product, visitor: Visitor = GUESSER, now: datetime = NOON
) -> Quote:
    terms = Terms(country="IE", code=typed, email="ada@example.com")
    return work_out([product.quoted_line(1)], terms, now=now, visitor=visitor)


def press(typed: str, product: Product, wanted: PlaceOrder | None = None) -> Order:
    wanted = wanted or purchase(uuid.uuid4())
    wanted = replace(wanted, code=typed, from_session=GUESSER.session, from_address=GUESSER.address)
    return place_order(wanted, OpenBasket([line(product)]), now=NOON)


def counted() -> int:
    of_session = LimitCount.objects.filter(key__startswith="codes:session")
    return sum(of_session.values_list("count", flat=True))


def test_after_too_many_wrong_codes_none_is_looked_up(
    shelf: list[Product], code: DiscountCode
) -> None:
    guesses = [try_code(f"GUESS-{n}", shelf[0]).refusals for n in range(3)]

    with CaptureQueriesContext(connection) as captured:
        right = try_code("tenth", shelf[0])

    assert guesses == [(Refusal.CODE_UNKNOWN,)] * 3
    assert (right.refusals, right.code, right.discount_minor) == (TOO_MANY, None, 0)
    assert try_code("GUESS-4", shelf[0]) == right  # nothing tells a right one from a wrong one
    looked_up = '"catalogue_discountcode"."code" = '
    assert not any(looked_up in query["sql"] for query in captured)
    assert counted() == 3


def test_code_can_be_tried_again_when_the_time_is_over(
    shelf: list[Product], code: DiscountCode
) -> None:
    for n in range(3):
        try_code(f"GUESS-{n}", shelf[0])

    later = try_code("tenth", shelf[0], now=NOON + timedelta(minutes=10))

    assert (later.refusals, later.discount_minor) == ((), 100)


def test_right_codes_are_not_counted(shelf: list[Product], code: DiscountCode) -> None:
    DiscountCode.objects.update(least_goods_minor=2000)

    for _ in range(9):
        assert try_code("tenth", shelf[0]).refusals == (Refusal.CODE_NEEDS_MORE_GOODS,)
        assert try_code("tenth", shelf[-1]).refusals == ()

    assert counted() == 0


@pytest.mark.parametrize(
    "change",
    [{"is_on": False}, {"starts_on": "2030-01-01"}, {"ends_on": "2020-01-01"}, {"limit": 0}],
    ids=lambda change: next(iter(change)),
)
def test_codes_that_cannot_be_had_are_counted(
    shelf: list[Product], code: DiscountCode, change: dict[str, object]
) -> None:
    DiscountCode.objects.update(**change)

    try_code("tenth", shelf[0])

    assert counted() == 1


def test_pages_and_presses_count_together(shelf: list[Product], code: DiscountCode) -> None:
    try_code("GUESS-1", shelf[0])
    for n in (2, 3):
        with pytest.raises(QuoteRefused, match="unknown"):
            press(f"GUESS-{n}", shelf[0])

    with pytest.raises(QuoteRefused, match="too many tries"):
        press("tenth", shelf[0])

    assert try_code("tenth", shelf[0]).refusals == TOO_MANY
    assert counted() == 3
    assert not Order.objects.exists()


def test_purchase_that_was_placed_is_found_by_whoever_has_guessed_since(
    shelf: list[Product], code: DiscountCode
) -> None:
    wanted = purchase(uuid.uuid4())
    order = press("tenth", shelf[0], wanted)
    for n in range(3):
        try_code(f"GUESS-{n}", shelf[0])

    assert press("tenth", shelf[0], wanted).pk == order.pk
    assert DiscountCode.objects.get().used == 1


def test_order_without_a_code_is_never_held_back(shelf: list[Product], code: DiscountCode) -> None:
    for n in range(3):
        try_code(f"GUESS-{n}", shelf[0])

    assert try_code("", shelf[0]).refusals == ()
    assert press("", shelf[0]).total_minor == 1001


def test_other_sessions_of_the_address_and_the_whole_shop_count_as_well(
    shelf: list[Product], code: DiscountCode
) -> None:
    def told(session: str, address: str, *, guesses: int) -> tuple[Refusal, ...]:
        visitor = Visitor.known_by(nonce=session, address=address)
        for n in range(guesses):
            try_code(f"GUESS-{n}", shelf[0], visitor)
        return try_code("tenth", shelf[0], visitor).refusals

    assert told("first", "203.0.113.1", guesses=2) == ()
    assert told("second", "203.0.113.1", guesses=2) == ()
    assert told("third", "203.0.113.1", guesses=1) == TOO_MANY  # five from the address
    assert told("fourth", "203.0.113.2", guesses=2) == ()
    assert told("fifth", "203.0.113.3", guesses=2) == TOO_MANY  # nine in the shop


def test_client_of_the_api_is_counted_as_such(shelf: list[Product], settings: Settings) -> None:
    settings.LIMIT_CODES = read_rates("client 2/10m, shop 9/10m")
    app = replace(purchase(), from_client=Visitor.client_of_api(7).client, code="GUESS")

    for refusal in (Refusal.CODE_UNKNOWN, Refusal.CODE_UNKNOWN, Refusal.CODE_TOO_MANY_TRIES):
        with pytest.raises(QuoteRefused) as refused:
            place_order(app, OpenBasket([line(shelf[0])]), now=NOON)
        assert refused.value.refusals == (refusal,)

    assert try_code("tenth", shelf[0], Visitor.client_of_api(8)).refusals != TOO_MANY


def test_without_a_code_nothing_is_asked_or_counted(
    shelf: list[Product], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        try_code("", shelf[0])
    with django_assert_num_queries(4):  # may it be tried, the code, the rules, and the count
        try_code("GUESS", shelf[0])


@pytest.mark.usefixtures("code")
def test_counts_that_are_out_of_reach_hold_nobody_back(shelf: list[Product]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE orders_limitcount RENAME TO out_of_reach")
    try:
        assert try_code("GUESS", shelf[0]).refusals == (Refusal.CODE_UNKNOWN,)
        assert press("tenth", shelf[0]).discount_minor == 100
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE out_of_reach RENAME TO orders_limitcount")


def shown_total(answer: Answer) -> str:
    return answer.words.partition("Total")[2].split()[0]


def test_page_that_is_pressed_counts_a_wrong_code_once(
    shelf: list[Product], code: DiscountCode, shopper: Shopper
) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()

    answers = [shopper.submit(form | {"code": f"GUESS-{n}"}) for n in range(3)]
    held_back = shopper.submit(form | {"code": "tenth"})

    assert [answer.status for answer in (*answers, held_back)] == [422] * 4
    assert all("There is no such code" in answer.words for answer in answers)
    assert "Too many codes were tried from here" in held_back.words
    assert shown_total(held_back) == shown_total(answers[0])
    assert counted() == 3
    assert shopper.submit(form | {"code": ""}).status == 303


def test_total_that_is_asked_for_counts_a_wrong_code_as_well(
    shelf: list[Product], code: DiscountCode, shopper: Shopper
) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout() | {"update_total": "1"}

    answers = [shopper.submit(form | {"code": f"GUESS-{n}"}) for n in range(3)]
    held_back = shopper.submit(form | {"code": "tenth"})

    assert [answer.status for answer in (*answers, held_back)] == [200] * 4
    assert "Too many codes were tried from here" in held_back.words
    assert shown_total(held_back) == shown_total(answers[0])
    assert counted() == 3
