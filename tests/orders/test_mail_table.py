"""docs/mails.md says which event writes which mail; the code does that and nothing else."""

import re
from itertools import product
from pathlib import Path

import pytest

from checkout.orders.mail.enqueue import mail_about
from checkout.orders.mail.words import CANCELLED_BY, SINCE_THEN, WORDS
from checkout.orders.models import AccountMail, Mail
from checkout.orders.states import PAID_FOR, TRANSITIONS, Canceller, OrderStatus
from checkout.views.order.timeline import MAILS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "mails.md"

MOVE = re.compile(r"(?:`(\w+)` )?→ `(\w+)`")


def rows(title: str) -> dict[str, str]:
    """Event → kind of mail, of the table under this title. `none` is an empty kind."""
    section = DOCUMENT.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    table = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| ")][1:]
    return {event.strip(): kind.strip().strip("`") if "`" in kind else "" for event, kind in table}


def test_every_move_of_an_order_is_in_the_table_with_its_mail() -> None:
    told = {}
    for event, kind in rows("What an order's events write").items():
        found = MOVE.fullmatch(event)
        assert found, event
        told[found[1] or None, found[2]] = kind or None

    moves: set[tuple[str | None, str]] = {(None, OrderStatus.PLACED.value)}
    moves |= {(source.value, to.value) for source, goals in TRANSITIONS.items() for to in goals}
    written = {
        (source, to): mail_about(OrderStatus(source) if source else None, OrderStatus(to))
        for source, to in moves
    }
    assert told == written


def test_every_kind_of_mail_is_in_a_table_and_no_other() -> None:
    about_orders = {*rows("What an order's events write").values()}
    about_orders |= {*rows("What else is written about an order").values()}
    asked = rows("What somebody asks for who has shown nothing yet").values()

    assert about_orders - {""} == {*Mail.Kind.values}
    assert {*asked} == {*AccountMail.Kind.values}


def test_every_kind_has_words_and_a_step_of_its_order() -> None:
    assert {*WORDS} == {*Mail.Kind}
    assert {*MAILS} == {*Mail.Kind} - {Mail.Kind.SHOP_ORDER}
    assert {*SINCE_THEN} == {*OrderStatus}
    assert {*CANCELLED_BY} == {"", *Canceller}


def test_every_end_and_every_wait_writes_a_mail() -> None:
    """A state that a customer would ask about begins with a mail, or says why it does not."""
    silent = {
        (source, to)
        for source, to in product(OrderStatus, OrderStatus)
        if to in TRANSITIONS[source] and mail_about(source, to) is None
    }

    by_refunds = {(source, to) for source, to in silent if {source, to} <= PAID_FOR}
    assert {to for _, to in silent - by_refunds} == {OrderStatus.PLACED}  # the customer's own press


@pytest.mark.parametrize("kind", Mail.Kind)
def test_no_mail_says_of_itself_whether_anything_was_charged(kind: Mail.Kind) -> None:
    words = WORDS[kind]
    said = " ".join([words.headline, words.happened, words.next])

    assert not re.search(r"(were|been|was) (not )?charged", said), said
