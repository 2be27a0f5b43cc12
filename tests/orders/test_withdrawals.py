"""A customer withdraws: stated once, found by its order, and acknowledged once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

import pytest
from django.core import mail
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.attention.queries import open_reasons
from checkout.orders.attention.reasons import WITHDRAWN
from checkout.orders.mail.by_staff import correct_email
from checkout.orders.models import Mail, Order, Withdrawal
from checkout.orders.withdrawals import take_up as module
from checkout.orders.withdrawals.state import LONGEST_ABOUT, Stated, state_withdrawal
from checkout.orders.withdrawals.take_up import take_up, take_up_statements
from tests.support.factories import placed_order
from tests.support.mailer import send_mails
from tests.support.till import Till

NOON = datetime(2026, 3, 2, 12, 0, 7, tzinfo=timezone.get_default_timezone())
AT_ONCE = 8

T = TypeVar("T")


def about(order: Order, **more: str) -> Stated:
    typed = Stated(number=order.number, full_name="Ada Quillfeather", email="Ada@Example.com")
    return replace(typed, **more)


def state(
    stated: Stated, *, key: str = "k", now: datetime = NOON, language: str = "en"
) -> datetime:
    return state_withdrawal(stated, key=key, language=language, now=now)


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    return placed_order(shelf[0])


def test_statement_is_recorded_once_with_its_second(order: Order) -> None:
    first = state(about(order))
    second = state(about(order), now=NOON + timedelta(minutes=3))
    send_mails()

    assert first == second == NOON
    row = Withdrawal.objects.get()
    assert (row.order, row.stated_at, row.status) == (order, NOON, "stated")
    assert row.event is not None
    assert row.event.created_at == NOON
    assert [one.reason for one in open_reasons(order)] == [WITHDRAWN]


def at_once(act: Callable[[int], T]) -> list[T]:
    together = threading.Barrier(AT_ONCE)

    def run(number: int) -> T:
        try:
            connection.ensure_connection()
            together.wait(timeout=20)
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(run, range(AT_ONCE)))


@pytest.mark.parametrize("keys", ["one", "many"])
def test_eight_at_once_are_one_statement_and_one_mail(order: Order, keys: str) -> None:
    """Of one page, or of as many pages."""

    def press(number: int) -> datetime:
        key = "k" if keys == "one" else f"k{number}"
        return state(about(order), key=key, now=NOON + timedelta(seconds=number))

    told = at_once(press)
    pk = Withdrawal.objects.get().pk
    taken_up = at_once(lambda number: take_up(pk, now=NOON))
    send_mails()

    assert taken_up.count(True) == 1
    assert {*told} == {Withdrawal.objects.get().stated_at}
    assert order.mails.filter(kind=Mail.Kind.WITHDRAWN).count() == 1
    assert order.events.filter(reason__contains="withdrew").count() == 1


def statements_of(stated: Stated, key: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        state(stated, key=key)
    return [each["sql"].split("VALUES")[0].split("WHERE")[0] for each in captured.captured_queries]


def test_request_makes_the_same_statements_whether_there_is_such_an_order(order: Order) -> None:
    matched = statements_of(about(order), "a")
    unmatched = statements_of(about(order, email="eve@example.com"), "b")
    no_number = statements_of(about(order, number="the red globe"), "c")

    assert matched == unmatched == no_number
    assert len([sql for sql in matched if not sql.startswith(("SAVEPOINT", "RELEASE"))]) <= 4


def test_whoever_states_again_is_answered_alike_whether_there_is_such_an_order(
    order: Order,
) -> None:
    later = NOON + timedelta(hours=2)
    for stated in (about(order), about(order, email="eve@example.com")):
        state(stated, key=f"{stated.email}-1")
        send_mails()

        assert state(stated, key=f"{stated.email}-2", now=later) == NOON

    assert Withdrawal.objects.count() == 2


def test_what_a_further_statement_is_about_is_kept(order: Order) -> None:
    state(about(order, about="the globe"), key="a")
    state(about(order, about="the notebook"), key="b")
    state(about(order, about="the notebook"), key="c")
    for number in range(9):
        state(about(order, about=str(number) * 300), key=str(number))

    kept = Withdrawal.objects.get().about
    assert kept.startswith("the globe\n2026-03-02 12:00 UTC: the notebook\n")
    assert kept.count("the notebook") == 1
    assert len(kept) <= LONGEST_ABOUT


@pytest.mark.parametrize(
    "other", [{"email": "eve@example.com"}, {"number": "the red globe"}, {"number": "999999-99"}]
)
def test_without_number_and_address_together_it_belongs_to_no_order(
    order: Order, other: dict[str, str]
) -> None:
    state(about(order, **other))
    send_mails()

    row = Withdrawal.objects.get()
    assert (row.order, row.event, row.status) == (None, None, "stated")
    assert row.taken_up_at is not None
    assert open_reasons(order) == []


def test_unmatched_is_acknowledged_once_without_the_senders_words(order: Order) -> None:
    evil = about(
        order, email="eve@example.com", full_name="BUY PILLS", about="at http://pills.example"
    )
    state(evil)
    send_mails()
    send_mails()

    told = [each for each in mail.outbox if "withdrawal" in each.subject]
    assert [each.to for each in told] == [["eve@example.com"]]
    text = f"{told[0].subject} {told[0].body}"
    assert "2 March 2026, 12:00:07 UTC" in text
    assert order.number in text
    assert "PILLS" not in text.upper()


def test_what_is_no_number_is_not_repeated_to_an_unproved_address(order: Order) -> None:
    state(about(order, number="BUY PILLS", email="eve@example.com"), language="de")
    send_mails()

    [told] = [each for each in mail.outbox if "Widerruf" in each.subject]
    assert "PILLS" not in f"{told.subject} {told.body}"
    assert "2. März 2026, 12:00:07" in told.body


def test_matched_is_acknowledged_once_at_the_orders_address(order: Order) -> None:
    state(about(order, about="the globe"))
    send_mails()
    send_mails()

    [told] = [each for each in mail.outbox if "withdrawal" in each.subject]
    assert told.to == [order.email]
    assert "2 March 2026, 12:00:07 UTC" in str(told.body)
    assert "the globe" not in str(told.body)  # nobody has paid, so the address may be anybody's


def test_acknowledgement_of_a_paid_order_repeats_the_statement(order: Order, till: Till) -> None:
    till.settle(order)
    state(about(order, about="the <globe>"))
    send_mails()

    [told] = [each for each in mail.outbox if "withdrawal" in each.subject]
    assert "Ada Quillfeather" in str(told.body)
    assert "the <globe>" in str(told.body)
    assert "the &lt;globe&gt;" in str(told.alternatives[0][0])  # type: ignore[attr-defined] # a mail in two forms


def test_statement_of_an_order_under_two_addresses_is_decided_once(order: Order) -> None:
    """Staff corrected the address between the two."""
    state(about(order), key="a")
    take_up_statements(now=NOON)
    correct_email(
        order, email="ada@correct.example", seen=order.email, by="s", why="Typo", now=timezone.now()
    )
    state(about(order, email="ada@correct.example"), key="b")
    send_mails()

    first, second = Withdrawal.objects.order_by("id")
    assert (first.status, second.status) == ("stated", "closed")
    assert second.order == order
    assert [one.reason for one in open_reasons(order)] == [WITHDRAWN]


def test_one_that_cannot_be_taken_up_keeps_no_other_waiting(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    state(about(order), key="a")
    state(about(order, email="eve@example.com"), key="b")
    bad = Withdrawal.objects.earliest("id").pk

    def sometimes(pk: int, *, now: datetime) -> bool:
        if pk == bad:
            raise OperationalError("lock timeout")
        return take_up(pk, now=now)

    monkeypatch.setattr(module, "take_up", sometimes)

    assert take_up_statements(now=NOON) == 1
    assert Withdrawal.objects.get(taken_up_at=None).pk == bad
