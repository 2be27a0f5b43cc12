"""Everything that can happen to a shop, in any order; after each step its promises hold."""

import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pytest_django.fixtures import Settings

from payments.sandbox.faults import STEPS
from payments.sandbox.server import SandboxServer
from tests.machine.books import Violation
from tests.machine.queue import Trouble
from tests.machine.shop import (
    SHELF,
    WEBHOOK_SECRET,
    Clock,
    Shop,
    World,
    orders,
    paid_payments,
    pick,
    reply_to_commit_lost,
)

RUNS = int(os.environ.get("SOAK") or 500)
RUNS_IN_A_PART = 100
STEPS_IN_A_RUN = 40

METHODS = st.sampled_from(
    [
        "pm_card_visa",
        "pm_card_visa",
        "pm_card_visa",
        "pm_card_chargeDeclined",
        "pm_card_chargeDeclinedInsufficientFunds",
        "pm_card_authenticationRequired",
        "pm_card_authenticationRequired",
        "pm_sandbox_slow",
        "pm_sandbox_timeout_after_charge",
        "pm_sandbox_error_after_charge",
        "pm_sandbox_unavailable",
        "pm_of_another_shop",
    ]
)
NUMBERS = st.integers(0, 999)  # picks one of what there is by then
VISITORS = st.integers(0, 2)
SKUS = st.sampled_from(sorted(SHELF))
FAULTS = st.sampled_from(["reset", "reset", "500", "429", "503", "silent"])
MINUTE, HOUR = 60, 60 * 60
PAUSES = st.sampled_from([1, 5, MINUTE, 2 * MINUTE, 16 * MINUTE, HOUR, 25 * HOUR, 48 * HOUR])


class Machine(RuleBasedStateMachine):
    world: ClassVar[World]
    set_clock: ClassVar[Callable[[Clock], None]]
    steps: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.shop = Shop(self.world, type(self).set_clock)
        self.steps["(runs)"] += 1

    @initialize(method=METHODS, hears_webhooks=st.booleans())
    def begin(self, method: str, hears_webhooks: bool) -> None:
        self.shop.hears_webhooks = hears_webhooks
        visitor = self.shop.visitors[0]
        self.shop.put_in_cart(visitor, "PLENTY", 1)
        form = self.shop.open_checkout(visitor)
        assert form
        self.shop.submit(form, method)

    @rule(number=VISITORS, sku=SKUS, method=METHODS)
    def buy(self, number: int, sku: str, method: str) -> None:
        visitor = self.shop.visitors[number]
        self.shop.put_in_cart(visitor, sku, 1)
        if form := self.shop.open_checkout(visitor):
            self.shop.submit(form, method)

    @invariant()
    def promises_hold(self) -> None:
        self.shop.check()

    @rule()
    def move_everything(self) -> None:
        self.shop.move_everything()

    def teardown(self) -> None:
        try:
            if sys.exc_info()[1] is None:
                self.shop.settle_everything()
        finally:
            self.shop.abandon()


@pytest.fixture
def world(
    tmp_path: Path,
    transactional_db: None,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    settings.SHOP_URL = "https://shop.example"
    settings.STRIPE_WEBHOOK_SECRETS = [WEBHOOK_SECRET]
    sandbox = SandboxServer(ledger_path=tmp_path / "ledger.jsonl")
    sandbox.start()
    world = World(sandbox)
    logging.disable(logging.CRITICAL)
    yield world
    logging.disable(logging.NOTSET)
    world.close()
    sandbox.stop()


def machine_in(world: World, monkeypatch: pytest.MonkeyPatch) -> type[Machine]:
    def set_clock(clock: Clock) -> None:
        monkeypatch.setattr("django.utils.timezone.now", clock)

    made: type[Machine] = type("Machine", (Machine,), {})
    made.world, made.steps = world, Counter()
    made.set_clock = staticmethod(set_clock)  # type: ignore[assignment]
    return made


@pytest.mark.timeout(600)
def test_small(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = machine_in(world, monkeypatch)
    seed(1)(machine)
    t = time.perf_counter()
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=20, stateful_step_count=40, deadline=None, database=None,
                          suppress_health_check=list(HealthCheck), print_blob=True),
    )
    print(time.perf_counter() - t, machine.steps)
