"""The drill itself: guards can still be taken out, plans repeat, and a verdict is a verdict."""

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Set
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from checkout.orders.states import OrderStatus
from checkout.runtime.process_name import name_of
from config.local.crowd.comparison import Evidence, Promise, Totals, totals
from config.local.crowd.orders import MadeOrder
from config.local.crowd.records import Charge, PostLog
from config.local.crowd.shoppers import Crowd, Life, plan_of
from config.local.designs.stand_in import Addresses, Part
from config.local.processes import children_of
from config.local.sqs_double.hostile import Hostility
from config.local.sqs_double.server import QueueServer
from payments.models import Payment
from payments.states import PaymentStatus
from tests.support.factories import placed_order
from tests.support.long import all_or, at_length
from tests.support.processes import database_url, eventually, is_alive
from tests.tools.drill.__main__ import exit_code
from tests.tools.drill.chaos import ENOUGH, Chaos, Event, Fleet
from tests.tools.drill.deaths import CHILD, MACHINE, Death, Deaths
from tests.tools.drill.pace import WANTED, Pace, Source
from tests.tools.drill.promises import (
    AFTER_THE_SWEEP_SECONDS,
    Measured,
    came_to_rest,
    deaths_made_good,
    known_in_time,
    measured,
)
from tests.tools.drill.report import as_json, as_table, as_text
from tests.tools.drill.run import IN_HAND, Drill, Options, Outcome
from tests.tools.drill.systems import ROOT, Ours, sweep_after_seconds
from tests.tools.drill.without import GUARDS

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


@pytest.mark.parametrize("guard", all_or(["sweep"], list(GUARDS)))
def test_guard_can_be_taken_out_of_a_process(guard: str) -> None:
    command = [sys.executable, "-m", "tests.tools.drill.without", guard, "manage.py", "check"]
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


@pytest.fixture
def queue_double() -> Iterator[QueueServer]:
    queue = QueueServer(hostility=Hostility(1, chances={"slow": 0.1, "late delivery": 0.1}))
    queue.start()
    yield queue
    queue.stop()


def test_queue_makes_a_fault_likelier(queue_double: QueueServer) -> None:
    wish = {"faults": ["slow"]}
    url = f"{queue_double.url}/control/likelier"
    requests.post(url, json=wish, timeout=30).raise_for_status()

    for _ in range(1000):
        queue_double.hostility.strikes("slow")
        queue_double.hostility.strikes("late delivery")

    assert 350 < queue_double.hostility.hits["slow"] < 450
    assert 50 < queue_double.hostility.hits["late delivery"] < 150


def test_fault_that_is_behind_its_pace_becomes_likelier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.tools.drill.pace.LOOK_EVERY_SECONDS", 0)
    hits = {"slow": 14, "silent": 16}
    told: list[list[str]] = []
    source = Source(
        name="queue",
        kinds=frozenset({"slow", "silent", "never"}),
        hits=lambda: hits,
        make_likelier=lambda kinds: told.append(list(kinds)),
    )
    pace = Pace([source])

    pace.tend(0.5)
    hits["slow"] = 15
    pace.tend(0.5)
    Pace([source], is_kept=False).tend(0.5)

    assert WANTED == 30
    assert told == [["never", "slow"], ["never"]]
    assert pace.hits() == {"queue: slow": 15, "queue: silent": 16, "queue: never": 0}


def test_strike_that_finds_nobody_comes_again_a_moment_later() -> None:
    answers = iter([False, False, True])
    chaos = Chaos([Event(1.0, "web killed", lambda: next(answers))])

    for elapsed in (1.0, 1.5, 2.0, 2.5, 3.0, 3.5):
        chaos.tend(elapsed)

    assert chaos.hits["web killed"] == 1
    assert chaos.events == []


def test_strike_is_given_up_where_nobody_is_ever_there() -> None:
    chaos = Chaos([Event(1.0, "web killed", lambda: False)])

    for second in range(100):
        chaos.tend(float(second))

    assert (chaos.hits["web killed"], chaos.events) == (0, [])


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
SWEEP_SECONDS = 30.0
KNOWN_SECONDS = SWEEP_SECONDS + AFTER_THE_SWEEP_SECONDS


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
        evidence_of(orders, [Charge("1", 5, "EUR", at=charged_at)], tmp_path),
        FAULTS_END,
        sweep_after_seconds=SWEEP_SECONDS,
    )

    assert (kept.tried, len(kept.broken)) == (1, broken)


@pytest.mark.parametrize(
    ("minutes", "seconds"), [(1, 30), (4, 30), (10, 75), (33, 247.5), (120, 900), (600, 900)]
)
def test_sweep_of_a_run_keeps_pace_with_its_length(minutes: float, seconds: float) -> None:
    assert sweep_after_seconds(minutes) == seconds


def test_longest_sweep_of_a_run_is_that_of_the_shop(settings: Settings) -> None:
    assert sweep_after_seconds(24 * 60) == settings.SWEEP_AFTER_SECONDS


@pytest.mark.parametrize(("minutes", "seconds"), [(4, 180), (33, 742.5)])
def test_run_may_settle_for_as_long_as_three_of_its_sweeps(minutes: float, seconds: float) -> None:
    assert Options(shoppers=1, seed=1, minutes=minutes).settle_seconds == seconds


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
        *at_length(
            (1, {"1"}, False),
            (0, set(), False),  # approved at the bank, and nobody told the shop
            (0, {"1", "2"}, False),  # paid, says the shop, and the gateway knows nothing of it
        ),
    ],
)
def test_quiet_is_when_the_ledger_and_the_books_agree(
    unfinished: int, known: set[str], is_quiet: bool
) -> None:
    options = Options(shoppers=0, seed=1, minutes=1, most_settle_seconds=60 if is_quiet else 1)
    drill = Drill(Books(unfinished, known), options, say=lambda words: None)
    drill.ledger.write_text(
        '{"kind": "charged", "order": "1", "payment_intent": "pi_1", "amount": 5, '
        '"currency": "eur", "at": "2026-11-28T08:00:00+00:00"}\n'
    )
    drill.fleet = Fleet([], {}, drill.logs)

    settled = drill._settle(Addresses({}, []))

    drill.log.close()
    shutil.rmtree(drill.folder)
    assert (settled is not None) == is_quiet


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("status", "charged", "is_unknown"),
    [
        (OrderStatus.PAID, True, False),
        (OrderStatus.PARTLY_REFUNDED, True, False),
        (OrderStatus.ACTION_REQUIRED, False, False),
        (OrderStatus.ACTION_REQUIRED, True, True),
        (OrderStatus.PAID, False, True),
    ],
)
def test_books_are_compared_with_the_ledger(
    shelf: list[Product], status: OrderStatus, charged: bool, is_unknown: bool
) -> None:
    order = placed_order(shelf[0])
    Order.objects.update(status=status)

    unknown = Ours().unknown_charges(
        Addresses({"DATABASE_URL": database_url()}, []), {order.number} if charged else set()
    )

    assert unknown == is_unknown


@pytest.mark.parametrize(
    ("rests", "broken"),
    [
        ({"the faults": 3.0, "the deaths": 20.0}, []),
        ({"the faults": None}, ["it did not come to rest after the faults"]),
        (
            {"the faults": 3.0, "the deaths": None},
            ["it did not come to rest after the deaths"],
        ),
    ],
)
def test_what_does_not_come_to_rest_breaks_the_promise(
    rests: dict[str, float | None], broken: list[str]
) -> None:
    assert came_to_rest(rests, 180, 300).broken == broken


def deaths_of(*in_hand: tuple[str, Death]) -> Deaths:
    deaths = Deaths(Fleet([], {}, Path()), Addresses({}, []))
    deaths.in_hand += in_hand
    return deaths


@pytest.mark.parametrize(
    ("kind", "seconds", "broken"),
    [(CHILD, 1.9, 0), (CHILD, 2.1, 1), (MACHINE, 34, 0), (MACHINE, 36, 1)],
)
def test_death_that_is_made_good_late_breaks_the_promise(
    tmp_path: Path, kind: str, seconds: float, broken: int
) -> None:
    deaths = deaths_of(
        ("1", Death(kind, 500.0)), ("2", Death(kind, 500.0)), ("3", Death(CHILD, 500.0))
    )
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


def test_time_runs_from_the_last_of_the_deaths_that_had_an_order_in_hand() -> None:
    deaths = deaths_of(("1", Death(CHILD, 500.0)), ("1", Death(MACHINE, 510.0)))

    assert deaths.seconds([made("1", paid_at=530.0)]) == {CHILD: [], MACHINE: [("1", 20.0)]}


def test_only_a_death_that_left_an_order_to_others_counts_as_a_hit() -> None:
    deaths = deaths_of(
        ("1", Death(CHILD, 500.0)),
        ("2", Death(CHILD, 500.0)),  # of two orders, and one death all the same
        ("3", Death(CHILD, 510.0)),
        ("4", Death(MACHINE, 520.0)),
    )

    hits = deaths.hits(
        [
            made("1", paid_at=501.0),
            made("2", paid_at=502.0),
            made("3", paid_at=509.9),  # decided in the moment before
            made("4", status="payment_failed", paid_at=None),  # in 1970, by `made`
        ]
    )

    assert hits == {CHILD: 1}


# A machine: a process with two children that do nothing.
MACHINE_OF_TWO = ["bash", "-c", "sleep 60 & sleep 60 & wait"]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet([Part("worker", MACHINE_OF_TWO, has_children=True)], os.environ, tmp_path)
    fleet.start()
    eventually(lambda: len(children_of(fleet.members[0].child.pid)) == 2)
    yield fleet
    fleet.end()


def stopped(fleet: Fleet) -> list[int]:
    state = {
        child: Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
        for child in children_of(fleet.members[0].child.pid)
    }
    return [child for child in state if state[child] == "T"]


def test_one_child_is_stopped_alone_and_goes_on(machine: Fleet) -> None:
    struck = machine.stop_a_child_for("worker", random.Random(1), 60)

    assert struck
    eventually(lambda: len(stopped(machine)) == 1)
    machine.tend()
    assert len(stopped(machine)) == 1  # its time is not over
    machine._stopped_children = dict.fromkeys(machine._stopped_children, time.monotonic())
    machine.tend()
    eventually(lambda: not stopped(machine))


def test_stopped_child_goes_on_when_the_faults_end(machine: Fleet) -> None:
    machine.stop_a_child_for("worker", random.Random(1), 60)
    eventually(lambda: len(stopped(machine)) == 1)

    machine.let_all_go_on()

    eventually(lambda: not stopped(machine))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", [CHILD, MACHINE])
def test_whoever_has_an_order_in_hand_is_killed(
    shelf: list[Product], machine: Fleet, kind: str
) -> None:
    victim, other = children_of(machine.members[0].child.pid)
    order = in_hand_of(victim, shelf[0])
    deaths = Deaths(machine, Addresses({"DATABASE_URL": database_url()}, []))

    deaths._strike(kind, lambda: None)

    [(number, death)] = deaths.in_hand
    assert (number, death.kind) == (order.number, kind)
    eventually(lambda: not is_alive(victim))
    if kind == CHILD:
        assert is_alive(other)
    else:
        eventually(lambda: not is_alive(other))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lacks", ["an owner", "time", "an order under way"])
def test_nobody_is_killed_who_has_nothing_in_hand(
    shelf: list[Product], machine: Fleet, monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    monkeypatch.setattr("tests.tools.drill.deaths.LOOK_FOR_SECONDS", 0.2)
    victim, _ = children_of(machine.members[0].child.pid)
    in_hand_of(victim, shelf[0])
    if lacks == "an owner":
        Payment.objects.update(lease_owner="")
    elif lacks == "time":
        Payment.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    else:
        Order.objects.update(status=OrderStatus.PAID)
    deaths = Deaths(machine, Addresses({"DATABASE_URL": database_url()}, []))

    deaths._strike(CHILD, lambda: None)

    assert not deaths.in_hand
    assert is_alive(victim)


def in_hand_of(pid: int, product: Product) -> Order:
    order = placed_order(product)
    Payment.objects.create(
        order=order,
        round=1,
        status=PaymentStatus.PROCESSING,
        amount_minor=order.total_minor,
        currency=order.currency,
        lease_owner=name_of(pid),
        lease_token=uuid.uuid4(),
        lease_until=timezone.now() + timedelta(seconds=20),
        created_at=timezone.now(),
    )
    return order


def test_nobody_acts_any_more_when_the_crowd_has_stopped() -> None:
    acts: list[float] = []
    acting = threading.Event()

    def life() -> Life:
        while True:
            acting.set()
            time.sleep(0.2)  # a request under way
            acts.append(time.monotonic())
            yield 0

    crowd = Crowd(threads=4)
    for _ in range(4):
        crowd.add(life(), after_seconds=0)
    crowd.start()
    acting.wait(10)

    crowd.stop()

    stopped_at = time.monotonic()
    time.sleep(0.5)
    assert acts
    assert max(acts) <= stopped_at


@pytest.mark.parametrize(
    ("charged_at", "paid_at", "during", "afterwards"),
    [
        (900.0, 904.0, 4.0, 0.0),
        (990.0, FAULTS_END + 7, 10.0, 7.0),
        (FAULTS_END + 5, FAULTS_END + 8, 0.0, 3.0),
        (900.0, None, 100.0, None),
    ],
)
def test_longest_lag_is_told_for_the_faults_and_for_afterwards(
    tmp_path: Path,
    charged_at: float,
    paid_at: float | None,
    during: float,
    afterwards: float | None,
) -> None:
    evidence = evidence_of(
        [made("1", paid_at=paid_at), made("2", paid_at=FAULTS_END + 130)],
        [Charge("1", 5, "EUR", at=charged_at), Charge("2", 5, "EUR", at=FAULTS_END + 101)],
        tmp_path,
    )

    found = measured(evidence, FAULTS_END, deaths_of(("2", Death(MACHINE, FAULTS_END + 100))))

    assert (found.lag, found.lag_afterwards) == (during, afterwards)
    assert found.deaths == {CHILD: 0.0, MACHINE: 30.0}


def test_what_never_came_is_told_in_words_and_in_json() -> None:
    found = outcome(broken=[], hits=ENOUGH)
    found.measured = Measured(lag=1.5, lag_afterwards=None, deaths={CHILD: None})

    told = json.loads(as_json([found]), parse_constant=pytest.fail)[0]

    assert told["measured"] == {"lag": 1.5, "lag_afterwards": None, "deaths": {CHILD: None}}
    assert "1.5 s during the faults, never after their end" in as_text(found)
    assert f"{CHILD}: never" in as_text(found)


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
    plans = [plan for number in range(60) if (plan := plan_of(number, 1)).is_sure]
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
