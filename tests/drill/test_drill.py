"""The drill itself: guards can still be taken out, plans repeat, and a verdict is a verdict."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.drill.__main__ import exit_code
from tests.drill.chaos import ENOUGH
from tests.drill.promises import Evidence, Promise, Totals, totals
from tests.drill.records import Charge, PostLog
from tests.drill.report import as_table, as_text
from tests.drill.run import Outcome
from tests.drill.shoppers import plan_of
from tests.drill.systems import ROOT, MadeOrder
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
