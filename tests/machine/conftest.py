import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants
from pytest_django.fixtures import Settings

from checkout.forms import CheckoutForm
from payments.sandbox.server import SandboxServer
from tests.machine.rules import Machine
from tests.machine.shop import WEBHOOK_SECRET, Clock, World, round_alone, token_alone, use_clock


@pytest.fixture(autouse=True)
def same_runs_whatever_else_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hypothesis likes to draw numbers that stand in the source of the modules loaded by then, so
    one seed would be other runs in the whole suite than alone."""
    monkeypatch.setattr(providers, "_get_local_constants", Constants)
    providers.CONSTANTS_CACHE.cache.clear()


@pytest.fixture
def world(
    tmp_path: Path,
    transactional_db: None,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    settings.SHOP_URL = "https://shop.example"
    settings.STRIPE_WEBHOOK_SECRETS = [WEBHOOK_SECRET]
    settings.SESSION_COOKIE_AGE = 100 * 365 * 24 * 60 * 60  # no visit ends during a run
    monkeypatch.setattr("checkout.views.checkout_page.render", token_alone)
    monkeypatch.setattr("checkout.views.order.page.render", round_alone)
    # Each form copies the list of countries, which takes longer than placing the order.
    countries = [("IE", "Ireland")]
    monkeypatch.setattr(CheckoutForm.base_fields["country"], "choices", countries)
    sandbox = SandboxServer(ledger_path=tmp_path / "ledger.jsonl", silent_seconds=0)
    sandbox.start()
    world = World(sandbox)
    logging.disable(logging.CRITICAL)
    yield world
    logging.disable(logging.NOTSET)
    world.close()
    sandbox.stop()


@pytest.fixture
def machine(world: World, monkeypatch: pytest.MonkeyPatch) -> type[Machine]:
    def set_clock(clock: Clock) -> None:
        use_clock(clock, monkeypatch)

    made: type[Machine] = type("Machine", (Machine,), {})
    made.world, made.steps = world, Counter()
    made.set_clock = staticmethod(set_clock)
    return made
