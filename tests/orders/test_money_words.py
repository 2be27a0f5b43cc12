"""Every sentence about money, over the whole product of what can have happened to it."""

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from itertools import product

import pytest
from django.utils import timezone
from django.utils.translation import override

from checkout.api.responses import is_charged
from checkout.orders.mail.words import CANCELLED_BY as MAIL_CANCELLED_BY
from checkout.orders.mail.words import SINCE_THEN, WORDS
from checkout.orders.models import Order
from checkout.orders.money.facts import MoneyFacts, Moved
from checkout.orders.money.words import money_sentence
from checkout.orders.states import EXPIRING, SENDABLE, TO_SEND, Canceller, OrderStatus
from checkout.orders.states import DispatchStatus as Dispatch
from checkout.views.order.status_words import CANCELLED_BY, status_words
from checkout.views.order.timeline import CANCELLATIONS, MAILS, MOVES, REPEATS
from tests.support.long import at_length

TOTAL = 1000

LANGUAGES = ["en", "de"]

NOT_CHARGED = {"en": "not been charged|not charged[.]", "de": "nichts abgebucht"}
ONCE = {"en": "charged once", "de": "einmal abgebucht"}
EACH_PARCEL = {"en": "charged with each parcel", "de": "mit jedem Paket"}
SET_ASIDE = {"en": "has set .* aside", "de": "hat .* reserviert"}
SENT = {"en": "was sent back", "de": "haben wir Ihnen zurückgeschickt"}
GOING = {"en": "being sent back", "de": "schicken wir Ihnen gerade zurück"}
UNKNOWN = {"en": "do not know yet", "de": "wissen wir noch nicht"}


def possible_moves(total: int) -> Iterator[Moved]:
    for charges, doubt in product((0, 1, 2), (False, True)):
        # A second charge is of the same total; an only one may be of more than was asked.
        for charged in {0: [0], 1: [total or 500, total + 200], 2: [2 * total or 1000]}[charges]:
            for sent in sorted({0, 300, total, charged}):
                for going in sorted({0, 200, charged - sent}):
                    if 0 <= sent <= charged and 0 <= going <= charged - sent:
                        yield Moved(
                            charged_minor=charged,
                            charges=charges,
                            sent_back_minor=sent,
                            going_back_minor=going,
                            in_doubt=doubt,
                        )
    yield Moved(set_aside_minor=total)
    if total:
        yield Moved(charged_minor=400, charges=1, parcels_charged=1, set_aside_minor=total - 400)
        yield Moved(charged_minor=total, charges=1, parcels_charged=3, sent_back_minor=300)


ALL = [
    MoneyFacts(status=status, total_minor=total, moved=moved)
    for status, total in product(OrderStatus, (0, TOTAL))
    for moved in possible_moves(total)
]


def order_of(facts: MoneyFacts, who: str = "", dispatch: Dispatch = Dispatch.UNSENT) -> Order:
    """To make one takes longer than to find the words for it: many facts have the same."""
    return _order(facts.status, facts.total_minor, who, dispatch)


@cache
def _order(status: OrderStatus, total_minor: int, who: str, dispatch: Dispatch) -> Order:
    return Order(
        dispatch_status=dispatch,
        status=status,
        total_minor=total_minor,
        currency="EUR",
        cancelled_by=who,
        status_changed_at=timezone.now(),
    )


def wrong_sentences(said: str, facts: MoneyFacts, language: str) -> list[str]:
    """What the sentence says and the facts do not, or the other way round."""
    moved = facts.moved
    is_under_way = facts.status == OrderStatus.PLACED and not facts.is_charged
    expected = {
        "not charged": (
            NOT_CHARGED,
            not moved.charged_minor
            and not moved.in_doubt
            and (
                facts.is_free
                or facts.status not in {OrderStatus.PLACED, OrderStatus.ACTION_REQUIRED}
            ),
        ),
        "once": (ONCE, moved.charges == 1 and moved.parcels_charged < 2),
        "each parcel": (EACH_PARCEL, moved.charges == 1 and moved.parcels_charged > 1),
        "set aside": (
            SET_ASIDE,
            moved.set_aside_minor > 0
            and (facts.is_charged or facts.status == OrderStatus.AUTHORISED),
        ),
        "sent back": (SENT, moved.sent_back_minor > 0),
        "going back": (GOING, moved.going_back_minor > 0),
        "unknown": (UNKNOWN, moved.in_doubt and not is_under_way),
    }
    return [
        name
        for name, (pattern, is_so) in expected.items()
        if bool(re.search(pattern[language], said)) is not is_so
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentence_says_what_was_charged_and_what_came_back_and_nothing_else(language: str) -> None:
    assert len(ALL) > 300

    with override(language):
        wrong = {
            facts: (said, found)
            for facts in ALL
            if (found := wrong_sentences(said := money_sentence(facts, "EUR"), facts, language))
        }

    assert wrong == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_more_than_one_charge_is_told_with_their_number_and_sum(language: str) -> None:
    with override(language):
        for facts in ALL:
            said = money_sentence(facts, "EUR")
            if facts.moved.charges > 1:
                assert re.search(r"\b2\b", said)
            if facts.is_charged:
                amount = f"{facts.moved.charged_minor / 100:.2f}"
                assert amount.replace(".", "," if language == "de" else ".") in said


@pytest.mark.parametrize("language", LANGUAGES)
def test_whatever_is_owed_and_not_on_its_way_is_told(language: str) -> None:
    """A refund that failed, or a charge too many for which none was prepared."""
    says = {"en": "more than you owe", "de": "mehr, als Sie schulden"}[language]

    with override(language):
        for facts in ALL:
            assert (says in money_sentence(facts, "EUR")) is (facts.too_much_minor > 0), facts


@pytest.mark.parametrize("who", ["", *Canceller])
@pytest.mark.parametrize("language", LANGUAGES)
def test_page_adds_no_sentence_about_money_of_its_own(language: str, who: str) -> None:
    """Who cancelled an order is said of cancelled ones alone, so only these are asked for each."""
    told = [facts for facts in ALL if not who or facts.status == OrderStatus.CANCELLED]
    with override(language):
        for facts in told:
            words = status_words(order_of(facts, who), facts, now=timezone.now())
            said = f"{words.headline} {words.sentence} {words.next}"
            assert money_sentence(facts, "EUR") in words.sentence
            rest = words.sentence.replace(money_sentence(facts, "EUR"), "")
            for pattern in (NOT_CHARGED, ONCE, SENT, GOING):
                assert not re.search(pattern[language], f"{words.headline} {rest}"), said


# Who asked, and how far the order is sent: the rest of what the page's words depend on.
SENT_OR_NOT = [
    pytest.param(who, dispatch, id=f"{who or 'nobody'}-{dispatch or 'not_recorded'}")
    for who, dispatch in product(["", Canceller.CUSTOMER], Dispatch)
]
# An order that costs nothing has no more to do with its parcels than any other.
COSTLY = [facts for facts in ALL if facts.total_minor]


@pytest.mark.parametrize("language", ["en", *at_length("de")])
@pytest.mark.parametrize(("who", "dispatch"), SENT_OR_NOT)
def test_words_of_dispatch_say_nothing_of_money(
    language: str, who: str, dispatch: Dispatch
) -> None:
    with override(language):
        for facts in COSTLY:
            words = status_words(order_of(facts, who, dispatch), facts, now=timezone.now())
            said = money_sentence(facts, "EUR")
            assert said in words.sentence
            rest = words.sentence.replace(said, "")
            assert words.headline
            assert words.next
            for pattern in (NOT_CHARGED, ONCE, SENT, GOING):
                assert not re.search(pattern[language], f"{words.headline} {rest}"), words


def test_nothing_is_promised_that_is_not_sent_any_more() -> None:
    """`We send it` is said while it is paid for, wanted and not sent; never of anything else."""
    for facts, dispatch, who in product(COSTLY, Dispatch, ["", Canceller.CUSTOMER]):
        words = status_words(order_of(facts, who, dispatch), facts)
        promises = [
            "we send it to the address" in words.next,
            "we send you the rest" in words.next,
            "What is left of your order is sent" in words.next,
        ]
        if any(promises):
            assert facts.status in SENDABLE
            assert dispatch in TO_SEND
        if facts.status == OrderStatus.PAID and dispatch in TO_SEND:
            assert any(promises)
        assert ("getting your order ready" in words.sentence) is (
            facts.status in {OrderStatus.PAID, OrderStatus.AUTHORISED}
            and dispatch == Dispatch.UNSENT
        )


def test_order_that_was_cancelled_after_it_was_paid_says_so_until_and_after_its_refund() -> None:
    for facts in ALL:
        if facts.status not in SENDABLE:
            continue
        for who in (Canceller.CUSTOMER, Canceller.STAFF):
            words = status_words(order_of(facts, who, Dispatch.CALLED_OFF), facts)
            assert words.headline == "This order was cancelled"
            assert CANCELLED_BY[who] in words.sentence
            owes = facts.moved.charged_minor > facts.moved.sent_back_minor
            is_kept_by_bank = facts.status == OrderStatus.AUTHORISED
            assert words.is_final is not (owes or is_kept_by_bank)
            assert ("we send your money back" in words.next) is owes


def test_order_that_is_being_cancelled_waits_and_offers_no_payment() -> None:
    for facts in ALL:
        words = status_words(order_of(facts, Canceller.CUSTOMER), facts)
        is_under_way = facts.status in EXPIRING
        assert (words.headline == "Your order is being cancelled") is is_under_way
        if is_under_way:
            assert not words.is_final
            assert not words.can_pay


def test_how_far_an_order_is_sent_is_told_once() -> None:
    """In the list of orders: by the headline, or beside it."""
    told = {
        Dispatch.PARTLY_SENT: "Partly sent",
        Dispatch.SENT: "Sent",
        Dispatch.RETURNED: "Came back",
        Dispatch.UNSENT: "Not sent yet",
    }
    for facts, dispatch in product(ALL, Dispatch):
        words = status_words(order_of(facts, dispatch=dispatch), facts)
        if facts.status in {OrderStatus.PARTLY_REFUNDED, OrderStatus.REFUNDED}:
            assert words.how_far == told.get(dispatch, words.how_far)
        elif facts.status != OrderStatus.PAID or words.headline in {
            "Part of your order was sent",
            "Your order was sent",
            "Your return has arrived",
            "Your order will not be sent",
        }:
            assert words.how_far == ""


@pytest.mark.parametrize("who", Canceller)
def test_cancelled_order_says_who_had_it_cancelled(who: Canceller) -> None:
    for facts in ALL:
        said = status_words(order_of(facts, who), facts).sentence
        told = {each for each in CANCELLED_BY.values() if each and each in said}
        assert told == ({CANCELLED_BY[who]} if facts.status == OrderStatus.CANCELLED else set())


def test_next_step_of_a_cancelled_order_is_the_way_of_its_money() -> None:
    for facts in ALL:
        if facts.status != OrderStatus.CANCELLED:
            continue
        words = status_words(order_of(facts), facts)
        owes = facts.moved.charged_minor > facts.moved.sent_back_minor
        assert words.is_final is not owes
        assert ("nothing" in words.next) is not facts.is_charged


def test_headline_of_a_refund_follows_what_was_sent_back() -> None:
    for facts in ALL:
        if facts.status in {OrderStatus.REFUNDED, OrderStatus.PARTLY_REFUNDED}:
            headline = status_words(order_of(facts), facts).headline
            sent, charged = facts.moved.sent_back_minor, facts.moved.charged_minor
            assert (headline == "Your payment was refunded") is (sent >= charged > 0)
            assert (headline == "Part of your payment was refunded") is (0 < sent < charged)


def test_api_tells_a_charge_as_soon_as_there_is_one_and_never_denies_one() -> None:
    for facts in ALL:
        told = is_charged(facts)
        assert (told is True) is facts.is_charged
        if told is False:
            assert not facts.moved.in_doubt
            assert facts.status != OrderStatus.PLACED or facts.is_free


def test_no_other_sentence_about_an_order_says_whether_it_was_charged() -> None:
    said = [*MOVES.values(), *REPEATS.values(), *MAILS.values(), *CANCELLATIONS.values()]
    said += [*SINCE_THEN.values(), *CANCELLED_BY.values(), *MAIL_CANCELLED_BY.values()]
    said += [text for words in WORDS.values() for text in (words.subject, words.headline)]

    charged = re.compile(r"You (were|have)( not)?( been)? charged|charged once")
    assert [each for each in said if charged.search(each)] == []


def test_free_order_is_told_as_such() -> None:
    facts = MoneyFacts(status=OrderStatus.PAID, total_minor=0)

    words = status_words(order_of(facts), facts)

    assert words.headline == "Thank you, your order is complete"
    assert "Nothing was to be paid" in words.sentence
    assert is_charged(facts) is False


def test_payment_that_takes_long_is_not_told_as_one_of_seconds() -> None:
    facts = MoneyFacts(status=OrderStatus.PLACED, total_minor=TOTAL)
    order = order_of(facts)

    soon = status_words(order, facts, now=order.status_changed_at + timedelta(seconds=30))
    late = status_words(order, facts, now=order.status_changed_at + timedelta(minutes=10))

    assert "a few seconds" in soon.sentence
    assert "longer than usual" in late.sentence
