"""The drill itself: guards can still be taken out, plans repeat, and a verdict is a verdict."""

import os
import shutil
import subprocess
import sys
from collections.abc import Set
from pathlib import Path

import pytest

from tests.drill.__main__ import exit_code
from tests.drill.chaos import ENOUGH, Fleet
from tests.drill.deaths import CHILD, MACHINE, Death, Deaths
from tests.drill.promises import (
    KNOWN_SECONDS,
    Evidence,
    Promise,
    Totals,
    deaths_made_good,
    known_in_time,
    totals,
)
from tests.drill.records import Charge, PostLog
from tests.drill.report import as_table, as_text
from tests.drill.run import IN_HAND, Drill, Options, Outcome
from tests.drill.shoppers import plan_of
from tests.drill.systems import ROOT, Addresses, MadeOrder, Ours
from tests.drill.without import GUARDS

NOTHING = Totals(
    purchases=0,
    orders=0,
    duplicate_orders=0,
    lost_orders=0,
    charges=0,
    charges_wanted=0,
    charges_made=0,
    double_charges=0,
    lost_charges=0,
)


def outcome(*, broken: list[str], hits: int) -> Outcome:
    return Outcome(
        design="ours",
        seed=1,
        totals=NOTHING,
        presses=0,
        waits=[],
        gave_up=0,
        promises=[Promise("One purchase, one order", 3, broken)],
        faults={"web killed": hits, "Postgres killed": 1},
        settled_seconds=1,
        seconds=1,
    )


@pytest.mark.parametrize("guard", GUARDS)
def test_guard_can_be_taken_out_of_a_process(guard: str) -> None:
    command = [sys.executable, "-m", "tests.drill.without", guard, "manage.py", "check"]
    environment = os.environ | {"STRIPE_API_BASE": "http://127.0.0.1:9"}

    ran = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize(
    ("broken", "hits", "code", "word"),
    [
        ([], ENOUGH, 0, "KEPT"),
        ([], ENOUGH - 1, 2, "INCONCLUSIVE: hit too rarely: web killed."),
        (["two orders"], ENOUGH, 1, "BROKEN: 1 violations."),
    ],
)
def test_verdict(broken: list[str], hits: int, code: int, word: str) -> None:
    found = outcome(broken=broken, hits=hits)

    assert exit_code(found, compared=False) == code
    assert word in as_text(found)
    assert as_table([found]).count("\n") == 2


def made(number: str, *, status: str = "paid", paid_at: float | None = None) -> MadeOrder:
    return MadeOrder(
        number=number,
        purchase=f"{number}@example.com",
        amount_minor=5,
        currency="EUR",
        status=status,
        location=f"/orders/{number}/",
        paid_at=paid_at,
        changed_at=paid_at or 0,
    )


def evidence_of(orders: list[MadeOrder], charges: list[Charge], tmp_path: Path) -> Evidence:
    log = PostLog(tmp_path / "posts.jsonl")
    log.close()
    return Evidence(plans={}, log=log, orders=orders, charges=charges)


FAULTS_END = 1000.0


@pytest.mark.parametrize(
    ("charged_at", "paid_at", "broken"),
    [
        (900.0, 901.0, 0),
        (900.0, FAULTS_END + KNOWN_SECONDS - 1, 0),  # known late, and in time after the faults
        (900.0, FAULTS_END + KNOWN_SECONDS + 1, 1),
        (FAULTS_END + 100, FAULTS_END + 100 + KNOWN_SECONDS + 1, 1),
        (900.0, None, 1),  # never
    ],
)
def test_charge_that_the_books_know_late_breaks_the_promise(
    tmp_path: Path, charged_at: float, paid_at: float | None, broken: int
) -> None:
    status = "paid" if paid_at else "action_required"
    orders = [made("1", status=status, paid_at=paid_at)]

    kept = known_in_time(
        evidence_of(orders, [Charge("1", 5, "EUR", at=charged_at)], tmp_path), FAULTS_END
    )

    assert (kept.tried, len(kept.broken)) == (1, broken)


class Books(Ours):
    """Ours, with books that say what a test wants."""

    def __init__(self, unfinished: int, known: set[str]) -> None:
        super().__init__()
        self._unfinished, self._known = unfinished, known

    def unfinished(self, at: Addresses) -> int:
        return self._unfinished

    def unknown_charges(self, at: Addresses, charged: Set[str]) -> int:
        return len(self._known ^ charged)


@pytest.mark.parametrize(
    ("unfinished", "known", "is_quiet"),
    [
        (0, {"1"}, True),
        (1, {"1"}, False),
        (0, set(), False),  # approved at the bank, and nobody told the shop
        (0, {"1", "2"}, False),  # paid, says the shop, and the gateway knows nothing of it
    ],
)
def test_quiet_is_when_the_ledger_and_the_books_agree(
    unfinished: int, known: set[str], is_quiet: bool
) -> None:
    options = Options(shoppers=0, seed=1, minutes=1, settle_seconds=5)
    drill = Drill(Books(unfinished, known), options, say=lambda words: None)
    drill.ledger.write_text(
        '{"kind": "charged", "order": "1", "amount": 5, "currency": "eur", '
        '"at": "2026-11-28T08:00:00+00:00"}\n'
    )
    drill.fleet = Fleet([], {}, drill.logs)

    settled = drill._settle(Addresses({}, []))

    drill.log.close()
    shutil.rmtree(drill.folder)
    assert (settled is not None) == is_quiet


@pytest.mark.parametrize(
    ("kind", "seconds", "broken"),
    [(CHILD, 1.9, 0), (CHILD, 2.1, 1), (MACHINE, 34, 0), (MACHINE, 36, 1)],
)
def test_death_that_is_made_good_late_breaks_the_promise(
    tmp_path: Path, kind: str, seconds: float, broken: int
) -> None:
    deaths = Deaths(Fleet([], {}, tmp_path), Addresses({}, []))
    deaths.orders = {"1": Death(kind, 500.0), "2": Death(kind, 500.0), "3": Death(CHILD, 500.0)}
    orders = [
        made("1", paid_at=500.0 + seconds),
        made("2", paid_at=499.9),  # decided in the moment before
        made("3", status="placed"),  # never
    ]

    kept = deaths_made_good(evidence_of(orders, [], tmp_path), deaths)

    counted = [(promise.tried, len(promise.broken)) for promise in kept]
    never = (1, 1)
    expected = [(2, broken + 1), (0, 0)] if kind == CHILD else [never, (1, broken)]
    assert counted == expected  # of children, of machines


@pytest.mark.parametrize(
    ("kind", "hits", "word"),
    [
        (CHILD, 19, "INCONCLUSIVE"),
        (CHILD, 20, "KEPT"),
        (MACHINE, 2, "INCONCLUSIVE"),
        (MACHINE, 3, "KEPT"),
    ],
)
def test_too_few_deaths_with_an_order_in_hand_prove_nothing(
    kind: str, hits: int, word: str
) -> None:
    found = outcome(broken=[], hits=ENOUGH)
    found.faults |= {IN_HAND[kind]: hits}

    assert word in as_text(found)


def test_same_seed_makes_the_same_crowd() -> None:
    crowd = [plan_of(number, 7) for number in range(200)]

    assert crowd == [plan_of(number, 7) for number in range(200)]
    assert crowd != [plan_of(number, 8) for number in range(200)]
    assert {len(plan.presses) > 1 for plan in crowd} == {True, False}


def test_duplicates_and_losses_are_counted_by_purchase(tmp_path: Path) -> None:
    plans = [plan for number in range(60) if (plan := plan_of(number, 1)).card == "pm_card_visa"]
    twice, lost, uncharged = plans[:3]
    log = PostLog(tmp_path / "posts.jsonl")
    for plan in (twice, lost, uncharged):
        log.add(plan.purchase, began=0, status=303, location="/orders/x/")
    log.close()

    def order(number: str, purchase: str) -> MadeOrder:
        return MadeOrder(
            number=number,
            purchase=purchase,
            amount_minor=5,
            currency="EUR",
            status="paid",
            location="/orders/x/",
        )

    evidence = Evidence(
        plans={plan.purchase: plan for plan in plans},
        log=log,
        orders=[
            order("1", twice.purchase),
            order("2", twice.purchase),
            order("3", uncharged.purchase),
        ],
        charges=[Charge("1", 5, "EUR"), Charge("2", 5, "EUR"), Charge("2", 5, "EUR")],
    )

    assert totals(evidence) == Totals(
        purchases=3,
        orders=3,
        duplicate_orders=1,
        lost_orders=1,
        charges=3,
        charges_wanted=3,
        charges_made=3,
        double_charges=2,
        lost_charges=2,
    )
