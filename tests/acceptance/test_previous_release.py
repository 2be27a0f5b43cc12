"""During a deploy the previous release's processes run beside the present ones, on a database that
is migrated already."""

import io
import secrets
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import requests
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.queue.sqs import PaymentsQueue
from payments.sandbox.server import SandboxServer
from tests.acceptance.previous_history import ORDERS, fill
from tests.support.factories import placed_order
from tests.support.long import long
from tests.support.processes import ROOT, ShopProcesses, database_url
from tests.support.shopper import Answer, OverHttp, Shopper, somebody_else
from tests.support.till import Till, assert_each_paid_once

# The commit from which the last release was made. A release sets its own here.
COMMIT = Path(__file__).with_name("previous_release.txt").read_text().strip()


@pytest.fixture
def previous_tree(tmp_path: Path) -> Path:
    """That commit's files. Not a worktree, which a killed run would leave in the repository."""
    archive = ["git", "-C", str(ROOT), "archive", "--format=zip", COMMIT]
    try:
        packed = subprocess.run(archive, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("There is no git here to take the previous release from.")
    if packed.returncode:
        reason = packed.stderr.decode().strip()
        pytest.skip(f"The previous release {COMMIT} is not in this clone: {reason}")
    tree = tmp_path / "previous"
    with zipfile.ZipFile(io.BytesIO(packed.stdout)) as files:
        files.extractall(tree)
    return tree


@pytest.fixture
def previous(
    tmp_path: Path,
    previous_tree: Path,
    shelf: list[Product],
    queue: PaymentsQueue,
    sandbox: SandboxServer,
) -> Iterator[ShopProcesses]:
    logs = tmp_path / "previous-logs"
    logs.mkdir()
    started = ShopProcesses(logs, directory=previous_tree, STRIPE_API_BASE=sandbox.url)
    yield started
    started.kill()
    print(started.said())


def test_previous_worker_settles_what_the_present_release_placed(
    previous: ShopProcesses, shelf: list[Product], queue: PaymentsQueue, till: Till
) -> None:
    placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())

    previous.worker()

    assert_each_paid_once(till)
    assert Order.objects.count() == 1


def test_present_worker_settles_what_the_previous_release_placed(
    previous: ShopProcesses, processes: ShopProcesses, till: Till
) -> None:
    web = previous.web()
    previous.publisher()
    processes.worker()

    answer = Shopper(OverHttp(web.url)).buy("SKU-01")

    assert answer.status == 303
    assert_each_paid_once(till)
    assert Order.objects.count() == 1


# A press waits for a lock three seconds at most, and then is tried again. While the tables of a
# hundred thousand orders are changed under it, it may wait so long for locks.
LOCKED_SECONDS = 6.0

# And so long for all else, or so many times as long as the longest request before: `migrate` wants
# the processor too, and so do other tests.
WORK_SECONDS, WORK_TIMES = 2.0, 5

# Before and after the migrations, so that there is something to compare with.
QUIET_SECONDS = 3.0

# Tests hide messages for seconds instead of minutes, which a check would refuse.
SKIP = "--skip-checks"

# What an audit needs neither the gateway nor the queue for.
OF_OURS = ("--no-gateway", "--no-queue")

# In the demo catalogue, and enough of each for a shopper who buys all the time.
SKUS = ("PEN-GEL-05", "CLP-BRS-20", "NB-A6-PLAIN", "NB-A5-DOT")


@pytest.fixture
def large(previous_tree: Path, tmp_path: Path, transactional_db: None) -> Iterator[str]:
    """The address of a database that the previous release has made and filled."""
    name = f"large_{secrets.token_hex(4)}"
    with psycopg.connect(database_url(), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
        url = database_url().rpartition("/")[0] + f"/{name}"
        try:
            with in_directory(tmp_path / "making", previous_tree, url) as previous:
                for command in ("migrate", "load_demo_catalogue"):
                    assert previous.manage(command, SKIP).wait(120) == 0, previous.said()
            fill(url)
            yield url
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def in_directory(logs: Path, directory: Path, url: str) -> Iterator[ShopProcesses]:
    logs.mkdir()
    started = ShopProcesses(logs, directory=directory, DATABASE_URL=url)
    try:
        yield started
    finally:
        started.stop()


class Watched(OverHttp):
    """A browser that writes down what each request came to and how long it took."""

    def __init__(self, url: str, took: list[float], failed: list[str]) -> None:
        super().__init__(url)
        self.took, self.failed = took, failed

    def get(self, path: str) -> Answer:
        return self._watched(path, lambda: super(Watched, self).get(path))

    def post(self, path: str, data: dict[str, str]) -> Answer:
        return self._watched(path, lambda: super(Watched, self).post(path, data))

    def _watched(self, path: str, send: Callable[[], Answer]) -> Answer:
        began = time.monotonic()
        try:
            answer = send()
        except requests.RequestException as error:
            self.failed.append(f"{path}: {error}")
            raise
        self.took.append(time.monotonic() - began)
        if answer.status >= 400:
            self.failed.append(f"{path}: {answer.status}")
        return answer


@dataclass
class Crowd:
    url: str
    closing: threading.Event = field(default_factory=threading.Event)
    took: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    bought: list[str] = field(default_factory=list)

    def shop(self, sku: str) -> None:
        while not self.closing.is_set() and not self.failed:
            shopper = Shopper(Watched(self.url, self.took, self.failed), somebody_else())
            bought = shopper.buy(sku)
            if bought.status == 303:
                shopper.look(bought)
                self.bought.append(bought.location)


@long
@pytest.mark.timeout(900)  # a hundred thousand orders are made, migrated and audited
def test_migrations_run_on_a_large_database_while_the_previous_release_serves(
    large: str, previous_tree: Path, tmp_path: Path
) -> None:
    """No request fails or waits long, before, during and after; and the books are in order."""
    with (
        in_directory(tmp_path / "old", previous_tree, large) as old,
        in_directory(tmp_path / "new", ROOT, large) as new,
        ThreadPoolExecutor(len(SKUS)) as pool,
    ):
        crowd = Crowd(old.web().url)
        shopping = [pool.submit(crowd.shop, sku) for sku in SKUS]
        try:
            time.sleep(QUIET_SECONDS)
            before, began = len(crowd.took), time.monotonic()

            code = new.manage("migrate", SKIP).wait(300)

            migrated, during = time.monotonic() - began, crowd.took[before:]
            assert code == 0, new.said()
            time.sleep(QUIET_SECONDS)
            mixed = Shopper(OverHttp(new.web().url), somebody_else()).buy(SKUS[0])
        finally:
            crowd.closing.set()
        for shopper in shopping:
            shopper.result(60)
        assert crowd.failed == [], old.said()
        assert before, "nobody bought before"
        assert during, "nobody bought meanwhile"
        longest = LOCKED_SECONDS + max(WORK_SECONDS, WORK_TIMES * max(crowd.took[:before]))
        print(
            f"{ORDERS} orders: migrate took {migrated:.1f} s; {len(crowd.bought)} purchases; "
            f"{len(during)} requests meanwhile, the longest {max(during):.2f} s; of all "
            f"{len(crowd.took)} the longest {max(crowd.took):.2f} s (at most {longest:.1f} s)"
        )
        assert mixed.status == 303
        assert max(crowd.took) <= longest

        for command in (["reconcile_stock", "--repair"], ["audit_orders", *OF_OURS]):
            assert new.manage(*command, SKIP).wait(300) == 0, new.said()
        with psycopg.connect(large) as connection:
            [(orders,)] = connection.execute("SELECT count(*) FROM orders_order").fetchall()
        assert orders == ORDERS + len(crowd.bought) + 1
