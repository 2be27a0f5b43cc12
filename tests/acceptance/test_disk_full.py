"""Postgres has no disk left while people buy; then it has again. Nobody but the test's own
supervisor, which starts a dead Postgres again, need do anything about it; the runbook's page is
gone through meanwhile."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from pytest_django.fixtures import Settings

from checkout.orders.queue.setup import dead_letter_queue_name, ensure_queues
from config.local.postgres import EmbeddedPostgres
from config.local.processes import CannotStart
from config.local.sqs_double.server import QueueServer
from payments.sandbox.server import SandboxServer
from tests.doubles.small_disk import NoSmallDisk, SmallDisk, small_disk
from tests.support.long import long
from tests.support.processes import ShopProcesses, WebProcess, eventually
from tests.support.runbook import OnDuty, page
from tests.support.shopper import Answer, OverHttp, Shopper, read_form, somebody_else
from tests.support.till import Charge, charges_at

# A new database takes 40 MB, its second log file 16 more.
DISK_MEGABYTES = 160

SHOPPERS = 3
# Open when the disk fills up, for then nobody gets a new one. Some find room in a last page.
FORMS = 120

PRESSES_AT_MOST = 2000
PAUSE_SECONDS = 0.1
AGAIN_SECONDS = 0.3  # between two presses of the same button

# How long it stays full after the server fell over it.
FULL_SECONDS = 8

# The third failure of a message hides it for two minutes.
PAID_SECONDS = 180

# The page that says "press again" has to come before people give up.
PATIENCE_SECONDS = 20


class Database:
    """A server that is started again when it dies, as `make demo` and every service manager do."""

    def __init__(self, folder: Path) -> None:
        self.postgres = EmbeddedPostgres(folder / "postgres", durable=True)
        self.url = self.postgres.start()
        with psycopg.connect(self.url, autocommit=True) as connection:
            # Once it has tidied a table of its own, Postgres lets nobody in before it has written
            # a file anew, which it cannot on a full disk.
            connection.execute("ALTER SYSTEM SET autovacuum = off")
            connection.execute("SELECT pg_reload_conf()")
        self.starts: Counter[str] = Counter()

    def watch(self) -> None:
        child = self.postgres.child
        if child and child.is_running:
            return
        self.postgres.stop()
        try:
            self.postgres.start()
            self.starts["came back"] += 1
        except CannotStart:
            self.starts["could not start"] += 1
            time.sleep(0.5)

    def rows(self, query: LiteralString) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    try:
        with small_disk(DISK_MEGABYTES) as disk:
            yield disk
    except NoSmallDisk as error:
        pytest.skip(f"No small file system can be mounted here: {error}")


@pytest.fixture
def database(disk: SmallDisk) -> Iterator[Database]:
    database = Database(disk.folder)
    yield database
    database.postgres.stop()


@pytest.fixture
def sqs(settings: Settings) -> Iterator[QueueServer]:
    settings.MESSAGE_VISIBILITY_SECONDS = 3
    settings.PAYMENT_LEASE_SECONDS = 2
    server = QueueServer()
    server.start()
    settings.AWS_ENDPOINT_URL = server.url
    ensure_queues()
    yield server
    server.stop()


@pytest.fixture
def processes(
    tmp_path: Path, database: Database, sqs: QueueServer, sandbox: SandboxServer
) -> Iterator[ShopProcesses]:
    logs = tmp_path / "logs"
    logs.mkdir()
    started = ShopProcesses(
        logs,
        DATABASE_URL=database.url,
        STRIPE_API_BASE=sandbox.url,
        SWEEP_AFTER_SECONDS="5",
        SWEEP_EVERY_SECONDS="1",
    )
    for command in ("migrate", "load_demo_catalogue"):
        # From nothing, on a disk that other tests use too.
        assert started.manage(command, "--skip-checks").wait(timeout=240) == 0
    yield started
    started.stop()
    print(started.said())


@dataclass
class Crowd:
    """Shoppers who press the same button until their order is there, and then buy again."""

    url: str
    sku: str
    ready: list[tuple[Shopper, dict[str, str]]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    words: set[str] = field(default_factory=set)
    acknowledged: list[str] = field(default_factory=list)
    longest_seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def shop(self) -> None:
        for _ in range(PRESSES_AT_MOST):
            if self.closing.wait(PAUSE_SECONDS):
                return
            if ready := self.ready.pop() if self.ready else self.fill_cart():
                self.press(*ready)

    def fill_cart(self) -> tuple[Shopper, dict[str, str]] | None:
        """A shopper in front of the filled form; None where the shop cannot give one."""
        browser = OverHttp(self.url)
        # Forms lie open for longer than the server keeps an idle connection.
        browser.session.headers["Connection"] = "close"
        shopper = Shopper(browser, somebody_else())
        shelf = self.note("shelf", shopper.web.get("/"))
        if shelf.status != 200:
            return None
        fields = read_form(shelf.text, "/cart/add/") | {"sku": self.sku, "quantity": "1"}
        if self.note("cart", shopper.web.post("/cart/add/", fields)).status != 303:
            return None
        page = self.note("form", shopper.web.get("/checkout/"))
        form = read_form(page.text, "/checkout/") | shopper.typed
        return (shopper, form) if page.status == 200 else None

    def look_around(self) -> None:
        """Somebody who fills carts and never buys."""
        for _ in range(PRESSES_AT_MOST):
            if self.closing.wait(PAUSE_SECONDS):
                return
            self.fill_cart()

    def press(self, shopper: Shopper, form: dict[str, str]) -> None:
        for _ in range(PRESSES_AT_MOST):
            began = time.monotonic()
            answer = self.note("order", shopper.submit(form))
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)
            if answer.status == 303:
                self.acknowledged.append(answer.location)
                return
            self.words.add(answer.words)
            form = read_form(answer.text, "/checkout/")
            time.sleep(AGAIN_SECONDS)

    def note(self, what: str, answer: Answer) -> Answer:
        with self.lock:
            self.answers[what, answer.status] += 1
        return answer

    @property
    def refused(self) -> int:
        return self.answers["order", 503]


@dataclass
class Shop:
    database: Database
    disk: SmallDisk
    web: WebProcess
    crowd: Crowd
    duty: OnDuty

    def fill_disk(self) -> None:
        """Until tables cannot grow, and then until the log of the server cannot."""
        with psycopg.connect(self.database.url, autocommit=True) as connection:
            # A table may have room for hundreds of orders: several at once had it grow by many
            # pages. This gives them back.
            connection.execute("VACUUM FULL orders_orderevent")

        def is_refusing() -> bool:
            self.disk.fill()  # also what the server has given back meanwhile
            return self.crowd.refused >= SHOPPERS

        eventually(is_refusing, seconds=60, what="refusing orders")
        assert "would be deleted" in self.duty.does("Look")
        with pytest.raises(psycopg.OperationalError):
            self.use_up_log()
        self.watch_for(FULL_SECONDS)

    def use_up_log(self) -> None:
        """A busier shop comes to the end of its log files by itself."""
        with psycopg.connect(self.database.url, autocommit=True) as connection:
            for _ in range(DISK_MEGABYTES):
                connection.execute("SELECT pg_switch_wal()")
                connection.execute("SELECT pg_logical_emit_message(true, 'full', 'of words')")

    def watch_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.database.watch()
            time.sleep(0.1)

    def recovers(self, orders: int) -> None:
        wanted = len(self.crowd.acknowledged) + orders

        def has_sold() -> bool:
            self.database.watch()
            return len(self.crowd.acknowledged) >= wanted

        eventually(has_sold, seconds=60, what="taking orders again")


@long  # of a database that is away altogether `test_database_restarts` tells in less time
@pytest.mark.timeout(900)
def test_full_disk_loses_no_order_and_is_overcome_without_a_person(
    database: Database,
    disk: SmallDisk,
    processes: ShopProcesses,
    sqs: QueueServer,
    sandbox: SandboxServer,
) -> None:
    database.rows("UPDATE catalogue_product SET stock = 100000 RETURNING id")
    enough = processes.manage("reconcile_stock", "--repair", "--by", "ada", "--skip-checks")
    assert enough.wait(timeout=60) == 0
    [(sku,)] = database.rows("SELECT min(sku) FROM catalogue_product WHERE is_on_sale")
    web = processes.web()
    running = [web.process, processes.publisher(), processes.worker()]
    crowd = Crowd(web.url, sku)
    crowd.ready = [ready for _ in range(FORMS) if (ready := crowd.fill_cart())]
    duty = OnDuty(page("The database's disk is nearly full"), processes)
    shop = Shop(database, disk, web, crowd, duty)

    with ThreadPoolExecutor(SHOPPERS + 1) as pool:
        shopping = [pool.submit(crowd.look_around)]
        shopping += [pool.submit(crowd.shop) for _ in range(SHOPPERS)]
        try:
            eventually(lambda: len(crowd.acknowledged) >= 10, seconds=60, what="ten orders")
            assert len(crowd.ready) > FORMS / 3
            shop.fill_disk()
            before = len(crowd.acknowledged)
            disk.free()
            shop.recovers(orders=20)
            assert "were deleted" in duty.does("Fix")
        finally:
            crowd.closing.set()
        for shopper in shopping:
            shopper.result()

    print(
        f"\n{crowd.refused} presses answered with 503 (the longest took "
        f"{crowd.longest_seconds:.1f} s), {before} orders before the disk was free again, "
        f"{len(crowd.acknowledged)} in all; Postgres: {dict(database.starts)}; "
        f"answers: {dict(crowd.answers)}"
    )
    eventually(
        lambda: database.rows("SELECT count(*) FROM orders_order WHERE status <> 'paid'") == [(0,)],
        seconds=PAID_SECONDS,
        what="paying every order",
    )
    assert [process.poll() for process in running] == [None] * len(running)
    assert processes.said().count("Booting worker") == 1  # gunicorn's own process, once
    stored = database.rows("SELECT reference, number, total_minor, currency FROM orders_order")
    assert sorted(crowd.acknowledged) == sorted(f"/orders/{row[0]}/" for row in stored)
    assert Counter(charges_at(sandbox.url)) == Counter(Charge(*row[1:]) for row in stored)
    duty.does("Fixed when")
    assert sqs.messages()[dead_letter_queue_name()] == []
    assert "DiskFull" in processes.said()
    assert crowd.refused
    assert {status for _, status in crowd.answers} <= {200, 303, 503}
    assert all("you cannot be charged twice" in words for words in crowd.words)
    assert crowd.longest_seconds < PATIENCE_SECONDS
