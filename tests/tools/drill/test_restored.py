"""The verdict about a restore can fail: a charge that nobody names, one that is named in vain, and
one that is made a second time."""

from typing import Any

import pytest

from config.local.crowd.records import Charge
from config.local.designs.stand_in import Addresses
from tests.support.long import long
from tests.tools.drill.restored import Restored

pytestmark = long


def charge(order: str) -> Charge:
    return Charge(order, 1000, "EUR")


def restored(*charged: str, transfers: tuple[str, ...] = ()) -> Restored:
    return Restored(
        Addresses({}, []),
        lambda: [charge(order) for order in charged],
        lambda: [charge(order) for order in transfers],
        lambda: True,
    )


@pytest.mark.parametrize(
    ("named", "broken"),
    [
        (["lost"], []),
        ([], ["lost was charged, is lost, and is not named"]),
        (["lost", "here"], ["here is named as lost, and is not"]),
        (["lost", "a stranger's"], ["a stranger's is named as lost, and is not"]),
        (["lost", "lost and not charged"], []),
    ],
)
def test_each_charge_without_an_order_is_to_be_named(named: list[str], broken: list[str]) -> None:
    report: dict[str, Any] = {"lost": [{"order": order} for order in named]}
    numbers = {"here", "lost", "lost and not charged"}

    promise = restored("here", "lost")._named(report, numbers, {"here"})

    assert (promise.tried, promise.broken) == (1, broken)


@pytest.mark.parametrize(
    ("before", "after", "is_kept"),
    [
        (["one"], ["one"], True),
        ([], ["one"], True),
        (["one"], ["one", "one"], False),
        (["one", "one"], ["one", "one"], True),  # a second charge of before, which goes back
    ],
)
def test_nothing_is_to_be_charged_a_second_time(
    before: list[str], after: list[str], is_kept: bool
) -> None:
    promise = restored(*after)._charged_once([charge(order) for order in before])

    assert (promise.broken == []) is is_kept


def test_transfer_beside_a_charge_is_a_second_charge() -> None:
    assert restored("one", transfers=("one",))._charged_once([charge("one")]).broken


def test_without_a_backup_there_is_no_verdict() -> None:
    [promise] = restored().promises()

    assert promise.broken
