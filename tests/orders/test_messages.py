"""The contract on the queue: what is read, what is put back, what is poison."""

import json
from pathlib import Path

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from checkout.catalogue.models import Product
from checkout.orders.identity import matching
from checkout.orders.identity.matching import identity_of
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.messages import (
    MAX_BODY_BYTES,
    VERSION,
    FutureVersion,
    OrderMessage,
    PoisonMessage,
    decode,
    encode,
)
from payments.worker.handle import HANDLERS
from tests.support.factories import placed_order

# What every release that was ever published has put on the queue. None of it is edited: a changed
# message is in a folder of its own, and a new version unless it only has more keys.
PUBLISHED = Path(__file__).with_name("messages")
NEWEST = PUBLISHED / "v1-reference"

GOOD = {"v": 1, "order": "100482-31", "kind": "settle_payment", "generation": 1}


def test_what_is_written_is_read_back(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    message = OutboxMessage(
        order=order, kind="settle_payment", generation=3, available_at=timezone.now()
    )

    assert decode(encode(message)) == OrderMessage(
        order=identity_of(order), kind="settle_payment", generation=3
    )


@pytest.mark.parametrize(
    "path",
    sorted(PUBLISHED.glob("v*/*.json")),
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_message_of_any_release_is_read_and_leads_to_a_handler(path: Path) -> None:
    content = decode(path.read_text())

    assert (content.order.number, content.kind, content.generation) == ("100482-31", path.stem, 1)
    assert content.kind in HANDLERS


def test_every_kind_is_written_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "installation_id", lambda: "b7Hq2PzX9dNw4RtY6sKe1A")
    order = Order(number="100482-31", reference="kV3nQ0b1yTz8mWc5rXs2Lg")

    written = {
        kind.value: encode(OutboxMessage(order=order, kind=kind, generation=1)) + "\n"
        for kind in OutboxMessage.Kind
    }

    assert written == {path.stem: path.read_text() for path in NEWEST.glob("*.json")}


def test_the_previous_release_reads_what_is_written(shelf: list[Product]) -> None:
    """It knows the number alone, and ignores keys that it does not know."""
    order = placed_order(shelf[0])

    written = json.loads(encode(order.outbox_messages.get()))

    assert written["v"] == VERSION
    assert (written["order"], written["kind"]) == (order.number, "settle_payment")


def test_unknown_keys_are_ignored() -> None:
    assert decode(json.dumps(GOOD | {"trace": "abc"})).order.number == "100482-31"


def test_a_newer_version_is_for_a_newer_worker() -> None:
    with pytest.raises(FutureVersion):
        decode(json.dumps({"v": 2, "something": "else"}))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        "17",
        "{}",
        json.dumps({**GOOD, "v": "1"}),
        json.dumps({**GOOD, "v": True}),
        json.dumps({**GOOD, "order": 17}),
        json.dumps({**GOOD, "order": "1\0"}),
        json.dumps({**GOOD, "reference": "r"}),
        json.dumps({**GOOD, "installation": "i"}),
        json.dumps({**GOOD, "reference": None, "installation": "i"}),
        json.dumps({**GOOD, "reference": ["r"], "installation": "i"}),
        json.dumps({**GOOD, "reference": "\0", "installation": "i"}),
        json.dumps({**GOOD, "generation": None}),
        json.dumps({key: value for key, value in GOOD.items() if key != "kind"}),
        "[" * 4000,
        json.dumps({**GOOD, "padding": "x" * MAX_BODY_BYTES}),
        '{"v": 1, "order": "\ud800"}',
    ],
)
def test_anything_else_is_poison(body: str) -> None:
    with pytest.raises(PoisonMessage):
        decode(body)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_body_at_all_raises_anything_else(body: str) -> None:
    with pytest.raises((PoisonMessage, FutureVersion)):
        decode(body)
