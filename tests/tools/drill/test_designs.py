"""The designs are fair: without trouble each makes one order and one charge of one purchase."""

import os
import secrets
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import requests
from psycopg import sql

from config.local.designs import base, charging, fifo_only, old, topic
from config.local.designs.serving import Reply, Server
from config.local.processes import Child, free_port, stop
from payments.sandbox.server import SandboxServer
from tests.support.long import long
from tests.support.processes import eventually
from tests.support.till import Charge, charges_at

ROOT = Path(__file__).resolve().parents[3]

# Starting an interpreter with boto3 on a busy machine.
START_SECONDS = 60

# No charge takes so long.
VISIBILITY_SECONDS = 30

DESIGNS = ["old", "notify", "fifo_only"]

PURCHASE = {
    "purchase": "shopper-000001@example.com",
    "amount": "1200",
    "payment_method": "pm_card_visa",
}


# The designs that the shop is compared with are no part of it.
pytestmark = long


@pytest.fixture
def database_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database of this test's own, on the server that all tests use."""
    server = os.environ["DATABASE_URL"]
    name = f"designs_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = urlsplit(server)._replace(path=f"/{name}").geturl()
    base.prepare(url)
    monkeypatch.setenv("DATABASE_URL", url)
    yield url
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def queue_name(monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"designs-{secrets.token_hex(4)}.fifo"
    monkeypatch.setenv("PAYMENTS_QUEUE_NAME", name)
    return name


class Stage:
    """Runs a design's processes, and counts what came of them."""

    def __init__(self, logs: Path, database_url: str, sandbox_url: str) -> None:
        self._logs = logs
        self._database_url = database_url
        self._sandbox_url = sandbox_url
        self.children: list[Child] = []
        self.web_url = ""
        self.consumer_url = ""

    def start(self, design: str, *, visibility_seconds: int = VISIBILITY_SECONDS) -> None:
        """The design as it is meant to run: the web process, and what charges behind it."""
        if design == "notify":
            self.consumer_url = self.serve("notify", "consumer")
            deliver = ["--deliver-to", self.consumer_url, "--seed", "1"]
            os.environ["TOPIC_URL"] = self.serve("topic", *deliver)
        if design == "fifo_only":
            client = fifo_only.sqs()
            name = os.environ["PAYMENTS_QUEUE_NAME"]
            fifo_only.create_queue(client, name, visibility_seconds=visibility_seconds)
            self.run("fifo_only", "consumer")
        self.web_url = self.serve(design, "web")

    def serve(self, module: str, *arguments: str) -> str:
        port = free_port()
        child = self.run(module, *arguments, "--port", str(port))
        url = f"http://127.0.0.1:{port}/"

        def is_ready() -> bool:
            assert child.is_running, f"{child.name} ended: {child.last_lines(5)}"
            try:
                return requests.get(f"{url}readyz", timeout=5).ok
            except (requests.ConnectionError, requests.Timeout):
                return False

        eventually(is_ready, seconds=START_SECONDS, what=f"the start of {child.name}")
        return url

    def run(self, module: str, *arguments: str) -> Child:
        name = f"{len(self.children)}-{module}"
        child = Child(
            name=name,
            command=[sys.executable, "-m", f"config.local.designs.{module}", *arguments],
            log=self._logs / f"{name}.log",
            environment=dict(os.environ),
            directory=ROOT,
        )
        self.children.append(child)
        child.start()
        return child

    def buy(self, **changes: str) -> requests.Response:
        return requests.post(
            f"{self.web_url}checkout/", data=PURCHASE | changes, timeout=30, allow_redirects=False
        )

    def orders(self) -> list[tuple[str, str]]:
        return [(order.number, order.status) for order in base.orders(self._database_url)]

    def charges(self) -> list[Charge]:
        return charges_at(self._sandbox_url)

    def expect(self, *orders: tuple[str, str]) -> None:
        eventually(lambda: self.orders() == [*orders], what=f"that there are {orders}")


@pytest.fixture
def stage(
    tmp_path: Path,
    database_url: str,
    queue_name: str,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stage]:
    monkeypatch.setenv("STRIPE_API_BASE", sandbox.url)
    monkeypatch.setenv("TOPIC_URL", "")
    stage = Stage(tmp_path / "logs", database_url, sandbox.url)
    yield stage
    stop(stage.children, seconds=5)
    for child in stage.children:
        print(child.name, *child.last_lines(40), sep="\n")  # shown when the test failed


@pytest.mark.parametrize("design", DESIGNS)
def test_one_purchase_is_one_order_and_one_charge(stage: Stage, design: str) -> None:
    stage.start(design)

    reply = stage.buy()

    assert (reply.status_code, reply.headers["Location"]) == (303, f"/orders/{design}-1/")
    stage.expect((f"{design}-1", "paid"))
    assert stage.charges() == [Charge(f"{design}-1", 1200, "EUR")]
    assert requests.get(f"{stage.web_url}orders/{design}-1/", timeout=5).text == "paid"


@pytest.mark.parametrize("design", DESIGNS)
def test_declined_card_is_one_failed_order_and_no_charge(stage: Stage, design: str) -> None:
    stage.start(design)

    reply = stage.buy(payment_method="pm_card_chargeDeclined")

    assert reply.status_code == (402 if design == "old" else 303)
    stage.expect((f"{design}-1", "failed"))
    assert stage.charges() == []


@pytest.mark.parametrize("design", DESIGNS)
def test_second_press_is_a_second_order_and_a_second_charge(stage: Stage, design: str) -> None:
    stage.start(design)

    stage.buy()
    stage.buy()

    stage.expect((f"{design}-1", "paid"), (f"{design}-2", "paid"))
    assert Counter(charge.order for charge in stage.charges()) == {
        f"{design}-1": 1,
        f"{design}-2": 1,
    }


@pytest.mark.parametrize("design", DESIGNS)
def test_processes_end_soon_after_sigterm(stage: Stage, design: str) -> None:
    stage.start(design)
    stage.buy()
    stage.expect((f"{design}-1", "paid"))

    stop(stage.children, seconds=30)

    codes = {child.name: child.process.returncode for child in stage.children if child.process}
    assert set(codes.values()) == {0}, codes


@pytest.mark.parametrize("design", ["notify", "fifo_only"])
def test_order_that_cannot_be_announced_stays_behind_unpaid(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, design: str
) -> None:
    # Nobody listens there, and the queue was not created.
    monkeypatch.setenv("TOPIC_URL", f"http://127.0.0.1:{free_port()}/")
    stage.web_url = stage.serve(design, "web")

    reply = stage.buy()

    assert reply.status_code == 503
    assert stage.orders() == [(f"{design}-1", "pending")]


def test_old_says_try_again_when_the_gateway_is_silent_after_charging(
    database_url: str, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_API_BASE", sandbox.url)
    monkeypatch.setattr(charging, "TIMEOUT_SECONDS", 0.5)
    post = requests.post

    def patient_before_the_charge(url: str, timeout: float, **more: Any) -> requests.Response:
        return post(url, timeout=timeout if url.endswith("/confirm") else 30, **more)

    monkeypatch.setattr(requests, "post", patient_before_the_charge)
    sandbox.faults.script("confirm:silent")

    reply = old.check_out("purchase=shopper&amount=1200&payment_method=pm_card_visa")

    assert reply.status == 504
    assert [order.status for order in base.orders(database_url)] == ["pending"]
    expected = [Charge("old-1", 1200, "EUR")]
    eventually(lambda: charges_at(sandbox.url) == expected, what="the charge")


@pytest.mark.parametrize("fault", ["reset", "500", "503"])
def test_one_failed_call_is_repeated_under_its_key_by_the_consumers(
    database_url: str, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv("STRIPE_API_BASE", sandbox.url)
    sandbox.faults.script(f"open:{fault},confirm:{fault}")
    order = base.store_order("notify", PURCHASE)

    status = charging.take_payment(order, retries=charging.SDK_RETRIES)

    assert status == "paid"
    assert charges_at(sandbox.url) == [Charge("notify-1", 1200, "EUR")]


def test_notify_charges_twice_what_is_delivered_twice(stage: Stage) -> None:
    stage.start("notify")
    stage.buy()
    stage.expect(("notify-1", "paid"))

    requests.post(stage.consumer_url, data="notify-1", timeout=10).raise_for_status()

    stage.expect(("notify-1", "paid"))
    assert stage.charges() == [Charge("notify-1", 1200, "EUR")] * 2


def test_fifo_only_charges_twice_when_killed_before_the_delete(
    stage: Stage, sandbox: SandboxServer
) -> None:
    stage.start("fifo_only", visibility_seconds=3)  # which the second consumer waits for
    [consumer] = [child for child in stage.children if child.command[-1] == "consumer"]
    sandbox.faults.script("confirm:silent")  # holds the consumer just behind the charge
    stage.buy()
    eventually(lambda: len(stage.charges()) == 1, what="the first charge")

    consumer.send(signal.SIGKILL)
    stage.run("fifo_only", "consumer")

    stage.expect(("fifo_only-1", "paid"))
    assert stage.charges() == [Charge("fifo_only-1", 1200, "EUR")] * 2


@contextmanager
def subscriber(port: int, *, fail_first: int = 0) -> Iterator[list[str]]:
    """What was delivered; the first so many deliveries are answered with an error."""
    received: list[str] = []

    def receive(body: str) -> Reply:
        received.append(body)
        return Reply(503 if len(received) <= fail_first else 200)

    server = Server(port, {"/": receive})
    thread = threading.Thread(target=server.serve_forever, args=[0.05])
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def topic_to(port: int, *, hostile: bool = False) -> topic.Topic:
    return topic.Topic(deliver_to=f"http://127.0.0.1:{port}/", seed=1, hostile=hostile)


def is_idle(to_watch: topic.Topic) -> bool:
    return '"pending": 0' in to_watch.state("").text


def test_topic_delivers_each_message_once_when_nothing_is_wrong() -> None:
    port = free_port()
    sent = [str(number) for number in range(20)]
    with subscriber(port) as received:
        friendly = topic_to(port)

        for message in sent:
            friendly.accept(message)

        eventually(lambda: is_idle(friendly), what="the deliveries")
        assert sorted(received) == sorted(sent)


def test_hostile_topic_delivers_everything_some_twice_and_out_of_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(topic, "LATEST_SECONDS", 0.3)
    port = free_port()
    sent = [str(number) for number in range(40)]
    with subscriber(port) as received:
        hostile = topic_to(port, hostile=True)

        for message in sent:
            hostile.accept(message)

        eventually(lambda: is_idle(hostile), what="the deliveries")
        assert set(received) == set(sent)
        assert len(received) > len(sent)
        assert list(dict.fromkeys(received)) != sent


def test_topic_tries_again_after_an_error_and_after_a_refused_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(topic, "PAUSES_SECONDS", [0.1] * 100)
    port = free_port()
    persistent = topic_to(port)

    persistent.accept("17")
    with subscriber(port, fail_first=1) as received:
        eventually(lambda: is_idle(persistent), what="the delivery")

    assert received == ["17", "17"]


def test_topic_gives_up_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic, "PAUSES_SECONDS", [0.01] * 3)
    resigned = topic_to(free_port())

    resigned.accept("17")

    eventually(lambda: is_idle(resigned), what="the end of the tries")
    assert '"given_up": 1' in resigned.state("").text
