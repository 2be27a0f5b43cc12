"""The desks of the drill act, and what they break without a guard is found."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.dispatch.ship import ship
from checkout.orders.models import GoodsReturn, Shipment
from checkout.orders.placing.place import place_order
from checkout.user_input.card_numbers import has_card_number
from config.local.crowd.comparison import Promise
from config.local.crowd.records import charges_in, refunds_in
from payments.capturing.capture import settle_captures
from payments.gateways.base import OutcomeUnknown
from payments.models import Refund
from tests.doubles.gateway import FaultyGateway, raising
from tests.support.factories import OpenBasket, line, purchase
from tests.support.long import long
from tests.support.processes import database_url
from tests.support.till import Till, only
from tests.tools.drill import without
from tests.tools.drill.after_sale import acts_told, after_sale
from tests.tools.drill.desk_acts import CLERK, SUPPORT, reason_of
from tests.tools.drill.desks import Desk
from tests.tools.drill.promises import each_parcel_charged_once
from tests.tools.drill.systems import WITHOUT_CONSTRAINTS
from tests.tools.drill.without import GUARDS

ORDERS, ACTS = 8, 50

# What the desks do is left to chance. They go on until each act was done or, without a guard, until
# something broke: it takes two presses at one moment.
ROUNDS_AT_MOST = 8

# Guard → the promise that is broken without it.
NOTICED = {
    "sent-at-most": "Nothing is sent beyond what was ordered",
    "return-key": "An act that is pressed twice is one act",
    "refund-key": "Every refund is made once, here as at the gateway",
}


def place_and_pay(shelf: list[Product], till: Till) -> None:
    for number in range(ORDERS):
        basket = OpenBasket([line(shelf[number % 5], 3), line(shelf[5 + number % 5], 1)])
        place_order(purchase(), basket, now=timezone.now())
    till.deliver_messages()


@pytest.fixture
def desks(shelf: list[Product], till: Till, tmp_path: Path) -> list[Desk]:
    place_and_pay(shelf, till)
    return [Desk(role, tmp_path, "7", name=role) for role in ("clerk", "support")]


def broken_after_work(desks: list[Desk], till: Till, folder: Path) -> dict[str, list[str]]:
    """The broken promises, but for those about invoices and mails, which nobody wrote here."""
    for _ in range(ACTS):
        for desk in desks:
            desk.act_once()
    till.deliver_messages()
    ledger = folder.parent / "ledger"
    ledger.write_text("")
    kept: list[Promise] = after_sale(database_url(), folder, refunds_in(ledger), [])
    return {promise.words: promise.broken for promise in kept[:6] if promise.broken}


def have_done_nearly_everything(folder: Path) -> bool:
    kinds = {name.partition(": ")[2] for name in acts_told(folder)}
    made = (Shipment.objects.count(), GoodsReturn.objects.count(), Refund.objects.count())
    return len(kinds) >= len({*CLERK, *SUPPORT}) - 2 and min(made) > 0


@long
@pytest.mark.timeout(300)  # of the rounds each takes seconds, and mostly one is enough
def test_desks_act_and_nothing_is_broken(
    desks: list[Desk], shelf: list[Product], till: Till, tmp_path: Path
) -> None:
    for _ in range(ROUNDS_AT_MOST):
        broken = broken_after_work(desks, till, tmp_path)
        refunds = broken.pop("Every refund is made once, here as at the gateway", [])
        assert all(" here, 0 there" in each for each in refunds)  # this test's ledger is empty
        assert broken == {}
        if done := have_done_nearly_everything(tmp_path):
            break
        place_and_pay(shelf, till)  # of those before, all may have been refunded

    assert done


@contextmanager
def without_constraints(guard: str) -> Iterator[None]:
    """The other tests of this database find the constraints again."""
    names = WITHOUT_CONSTRAINTS.get(guard, [])
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = ANY(%s)",
            [names],
        )
        definitions = cursor.fetchall()
        for name in names:
            cursor.execute(f"ALTER TABLE orders_orderline DROP CONSTRAINT {name}")
    yield
    with connection.cursor() as cursor:
        for name, definition in definitions:
            cursor.execute(
                f"ALTER TABLE orders_orderline ADD CONSTRAINT {name} {definition} NOT VALID"
            )


# It is the drill that is tested.
@long
@pytest.mark.timeout(300)  # of the rounds each takes seconds, and mostly one is enough
@pytest.mark.parametrize("guard", list(NOTICED))
def test_what_breaks_without_a_guard_is_found(
    desks: list[Desk],
    shelf: list[Product],
    till: Till,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    guard: str,
) -> None:
    monkeypatch.setattr(without, "_take_out", lambda of, **put_in: [
        monkeypatch.setattr(of, name, value) for name, value in put_in.items()
    ])  # fmt: skip
    GUARDS[guard]()
    with without_constraints(guard):
        for _ in range(ROUNDS_AT_MOST):
            broken = broken_after_work(desks, till, tmp_path).get(NOTICED[guard], [])
            if seen := [each for each in broken if " here, 0 there" not in each]:
                break
            place_and_pay(shelf, till)  # of those before, hardly anything is left to be sent

    assert seen


def test_parcel_that_is_charged_twice_without_its_key_is_found(
    shelf: list[Product],
    till: Till,
    ledger_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.CAPTURE = "dispatch"
    basket = OpenBasket([line(shelf[0], 4)])
    order = place_order(purchase(), basket, now=timezone.now())
    till.deliver_messages()
    ship(order, {order.lines.get().pk: 1}, key="k", by="clerk", now=timezone.now())

    def promise_after(gateway: FaultyGateway) -> Promise:
        for _ in range(3):
            settle_captures(order.number, only(gateway), clock=timezone.now)
        return each_parcel_charged_once(charges_in(ledger_path), database_url())

    lost = FaultyGateway(till.gateway, after={"capture": raising(OutcomeUnknown("timeout"))})
    with_guard = promise_after(lost)
    monkeypatch.setattr(without, "_take_out", lambda of, **put_in: [
        monkeypatch.setattr(of, name, value) for name, value in put_in.items()
    ])  # fmt: skip
    GUARDS["capture-key"]()
    ship(order, {order.lines.get().pk: 1}, key="l", by="clerk", now=timezone.now())
    without_guard = promise_after(lost)

    assert (with_guard.tried, with_guard.broken) == (1, [])
    assert without_guard.broken != []


def test_reason_of_a_refund_holds_no_card_number_whatever_its_key() -> None:
    keys = ["4242424242424242", "0x4242-4242-4242-4242", "5555555555554444"]

    assert [key for key in keys if has_card_number(reason_of(key))] == []
    assert len({reason_of(key) for key in keys}) == len(keys)
