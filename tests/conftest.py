import gc
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.utils import translation
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django import DjangoDbBlocker
from pytest_django.fixtures import Settings
from xdist.remote import Producer

from checkout.catalogue.models import Product
from checkout.orders import pausing
from checkout.orders.queue.setup import ensure_queues
from checkout.orders.queue.sqs import PaymentsQueue
from checkout.texts.read import keep
from config.local.processes import free_port
from config.local.sqs_double.server import QueueServer
from payments.gateways.mollie.client import MollieGateway
from payments.gateways.stripe.client import StripeGateway
from payments.sandbox.clock import Clock, utc_now
from payments.sandbox.mollie.server import MollieSandbox
from payments.sandbox.server import SandboxServer
from payments.settling import refused_shop
from tests.support.backups import Backup, Takes
from tests.support.clock import NOON, move_time
from tests.support.processes import ShopProcesses
from tests.support.schedule import Schedule, longest_first
from tests.support.services import TEMPLATE
from tests.support.shelves import on_the_shelf
from tests.support.shopper import InProcess, Shopper, somebody_else
from tests.support.shortcuts import KEPT_CONNECTION, remember_what_stays, take_shortcuts
from tests.support.till import Till

# How long an example takes says nothing of the shop, only of the machine.
hypothesis_settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("patient")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_first(items)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Schedule:
    return Schedule(config, log)


def pytest_collection_finish() -> None:
    """What is loaded by now stays to the end: the garbage collector need not go through it. Most of
    what tests make goes without it, so it looks for the rest less often."""
    gc.freeze()
    gc.set_threshold(50_000)


@pytest.fixture(scope="session", autouse=True)
def _shortcuts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        take_shortcuts(patch)
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """A database of tests is a copy of one that is migrated, where tests have a Postgres of their
    own."""
    if template := os.environ.get(TEMPLATE):
        connection.settings_dict["TEST"]["TEMPLATE"] = template


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A database to which somebody is connected cannot be dropped."""
    with django_db_blocker.unblock():
        remember_what_stays()
    yield
    KEPT_CONNECTION.close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that tests talk to is on this machine."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(autouse=True)
def _no_pause_of_another_test() -> None:
    pausing.forget_what_was_seen()
    refused_shop.forget_what_was_seen()


@pytest.fixture(autouse=True)
def _no_texts_are_asked_for() -> None:
    """A process asks which texts there are once in ten seconds, which would add a statement to some
    page of some test. A test of texts lets its pages ask, by `forget`."""
    keep([], for_seconds=float("inf"))


@pytest.fixture(autouse=True)
def _no_language_of_another_test() -> None:
    """A request leaves its language with its thread, as Django has it."""
    translation.deactivate()


@pytest.fixture
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands, so that no stretch in which requests are counted ends while a test runs."""
    move_time(monkeypatch, NOON)


@pytest.fixture
def ledger_path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def sandbox_clock() -> Clock:
    """For a test module to override; `sandbox.clock.advance(seconds)` moves it."""
    return utc_now


@pytest.fixture
def sandbox(ledger_path: Path, sandbox_clock: Clock) -> Iterator[SandboxServer]:
    server = SandboxServer(ledger_path=ledger_path, clock=sandbox_clock)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mollie() -> Iterator[MollieSandbox]:
    server = MollieSandbox(silent_seconds=5.0)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def gateway_seconds() -> float:
    """How long an answer of the gateway is waited for. Each has to come from the disk, which is
    slow at times. A test in which none comes is `impatient`."""
    return 20.0


@pytest.fixture
def mollie_gateway(mollie: MollieSandbox, gateway_seconds: float) -> MollieGateway:
    return MollieGateway(api_key="test_shop", api_base=mollie.url, timeout_seconds=gateway_seconds)


@pytest.fixture
def gateway(sandbox: SandboxServer, gateway_seconds: float) -> StripeGateway:
    return StripeGateway(
        secret_key="sk_test_shop", api_base=sandbox.url, timeout_seconds=gateway_seconds
    )


@pytest.fixture
def till(sandbox: SandboxServer, gateway: StripeGateway) -> Till:
    return Till(sandbox.url, gateway)


@pytest.fixture
def shelf(transactional_db: None) -> list[Product]:
    return fill_shelf()


def fill_shelf() -> list[Product]:
    """Twenty-one products, of which the last is down to its last piece."""
    products = [
        Product(
            sku=f"SKU-{n:02d}",
            name=f"Notebook {n:02d}",
            slug=f"notebook-{n:02d}",
            description="Paper.",
            price_minor=1000 + n,
            stock=100_000,
        )
        for n in range(1, 21)
    ]
    last = Product(sku="LAST", name="Globe", slug="globe", price_minor=12900, stock=1)
    return on_the_shelf([*products, last])


@pytest.fixture
def shopper(shelf: list[Product]) -> Shopper:
    return Shopper(InProcess())


@pytest.fixture
def elsewhere(shelf: list[Product]) -> Shopper:
    """The same customer at another device."""
    return Shopper(InProcess())


@pytest.fixture
def another_shopper(shelf: list[Product]) -> Shopper:
    return Shopper(InProcess(), somebody_else())


@pytest.fixture
def backed_up(transactional_db: None) -> Iterator[Takes]:
    """Takes backups of the whole database, which end with the test."""
    taken: list[Backup] = []

    def take() -> Backup:
        taken.append(Backup.take())
        return taken[-1]

    yield take
    for backup in taken:
        backup.drop()


@pytest.fixture
def exact_sqs(settings: Settings) -> Iterator[QueueServer]:
    """A queue server that is exact where moto is not, with a clock and a journal. A module that
    wants it for all of its tests names it in `pytestmark`, so that it is there before `queue`."""
    # Another one may come back later on this port.
    server = QueueServer(port=free_port())
    server.start()
    settings.AWS_ENDPOINT_URL = server.url
    yield server
    server.stop()


@pytest.fixture
def queue(settings: Settings) -> PaymentsQueue:
    """A queue of this test's own on the local SQS, with its dead-letter queue."""
    settings.PAYMENTS_QUEUE_NAME = f"payments-{secrets.token_hex(4)}.fifo"
    ensure_queues()
    return PaymentsQueue.connect()


@pytest.fixture
def processes(
    tmp_path: Path, shelf: list[Product], queue: PaymentsQueue, sandbox: SandboxServer
) -> Iterator[ShopProcesses]:
    logs = tmp_path / "logs"
    logs.mkdir()
    started = ShopProcesses(logs, STRIPE_API_BASE=sandbox.url)
    yield started
    started.kill()
    print(started.said())  # shown by pytest when the test failed
