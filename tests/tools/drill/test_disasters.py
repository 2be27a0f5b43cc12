"""What the drill does to a shop happens as it says: a standby has what was committed, or lacks the
last second of it; a lost queue is silent and comes back; credentials end; clocks are wrong."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

from config.local.designs.stand_in import Part
from config.local.postgres import EmbeddedPostgres
from config.local.sqs_double.server import QueueServer
from payments.sandbox.server import SandboxServer
from tests.support.long import long
from tests.support.open_folder import open_folder
from tests.support.processes import eventually
from tests.tools.drill.disasters.clocks import compiler, wrong_clocks
from tests.tools.drill.disasters.credentials import REFUSED_CALLS, Credentials
from tests.tools.drill.disasters.failover import ASYNCHRONOUS, SYNCHRONOUS, Cluster
from tests.tools.drill.disasters.lost_queue import Queues
from tests.tools.drill.systems import SHOP_ENVIRONMENT, WORKER_OF_A_LOST_QUEUE

pytestmark = long

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder("cluster") as folder:
        yield folder


@pytest.fixture
def postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(folder / "postgres", durable=True)
    server.start()
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE told (number int)")
    yield server
    server.stop()


def store(url: str, number: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO told VALUES (%s)", [number])


def stored(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [number for (number,) in connection.execute("SELECT number FROM told ORDER BY 1")]


@pytest.mark.timeout(300)  # four servers are copied, and three promoted
def test_synchronous_standby_has_all_that_was_committed(
    postgres: EmbeddedPostgres, folder: Path
) -> None:
    cluster = Cluster(postgres, folder, SYNCHRONOUS)
    try:
        cluster.attach()
        for number in range(3):
            store(postgres.url, 2 * number)
            store(postgres.url, 2 * number + 1)

            assert cluster.fail_over()

        assert cluster.postgres.url == postgres.url
        assert stored(postgres.url) == list(range(6))
    finally:
        cluster.stop()


def test_asynchronous_standby_lacks_the_last_second(
    postgres: EmbeddedPostgres, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(postgres, folder, ASYNCHRONOUS)
    try:
        cluster.attach()
        store(postgres.url, 1)
        standby = cluster.standby
        assert standby
        eventually(lambda: stored(standby.url) == [1], what="following")
        monkeypatch.setattr(
            "tests.tools.drill.disasters.failover.sleep", lambda seconds: store(postgres.url, 2)
        )

        cluster.fail_over()

        assert stored(postgres.url) == [1]
    finally:
        cluster.stop()


def ask(url: str, action: str, *, within: float = 30, **content: object) -> requests.Response:
    headers = {"X-Amz-Target": f"AmazonSQS.{action}"}
    return requests.post(url, json=content, headers=headers, timeout=within)


def send(url: str, name: str) -> None:
    ask(url, "CreateQueue", QueueName=name, Attributes={"FifoQueue": "true"}).raise_for_status()
    message: dict[str, Any] = {
        "MessageBody": "{}",
        "MessageGroupId": "1",
        "MessageDeduplicationId": "1",
    }
    there = f"{url}/000000000000/{name}"
    ask(url, "SendMessage", QueueUrl=there, **message).raise_for_status()


def test_lost_queue_is_silent_and_comes_back_with_its_messages(tmp_path: Path) -> None:
    environment = os.environ | SHOP_ENVIRONMENT
    environment |= {"STRIPE_API_BASE": NOWHERE, "SHOP_URL": NOWHERE}
    queues = Queues(tmp_path, environment, 1, "payments.fifo")
    told: list[str] = []
    try:
        queues.open()
        lost = queues.url
        send(lost, queues.name)

        assert queues.lose(lambda: told.append(environment["PAYMENTS_QUEUE_NAME"]))

        assert told == ["payments-2.fifo"]
        assert environment["AWS_ENDPOINT_URL"] == queues.url != lost
        with pytest.raises(requests.ReadTimeout):
            ask(lost, "ListQueues", within=2)

        [part] = queues.come_back(WORKER_OF_A_LOST_QUEUE)

        assert {f"AWS_ENDPOINT_URL={lost}", "PAYMENTS_QUEUE_NAME=payments.fifo"} < {*part.command}
        assert (queues.emptied().tried, queues.left_behind()) == (1, 1)
        assert queues.emptied().broken == ["1 messages are still there"]
        requests.post(f"{lost}/control/purge", json={"queue": "payments.fifo"}, timeout=30)
        assert queues.emptied().broken == []
    finally:
        queues.stop()


def answers(database: str) -> bool:
    try:
        psycopg.connect(database, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def test_credentials_end_and_come_back(
    postgres: EmbeddedPostgres, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.tools.drill.disasters.credentials.REFUSED_SECONDS", 0.1)
    queue, gateway = QueueServer(), SandboxServer(ledger_path=folder / "ledger.jsonl")
    queue.start()
    gateway.start()
    try:
        credentials = Credentials(postgres.url, lambda: queue.url, gateway.url)
        used = psycopg.connect(postgres.url)

        for end in (
            credentials.end_of_queue,
            credentials.end_of_gateway,
            credentials.end_of_database,
        ):
            assert end()

        assert ask(queue.url, "ListQueues").status_code == 403
        assert gateway.faults.is_key_refused
        assert not answers(postgres.url)
        with pytest.raises(psycopg.OperationalError):
            used.execute("SELECT 1")

        time.sleep(0.2)
        credentials.tend()

        assert ask(queue.url, "ListQueues").ok
        assert gateway.faults.is_key_refused, "nobody has met it yet"

        gateway.faults.hits["401"] += REFUSED_CALLS
        credentials.tend()

        assert not gateway.faults.is_key_refused
        assert answers(postgres.url)
    finally:
        queue.stop()
        gateway.stop()


@pytest.mark.skipif(compiler() is None, reason="No C compiler is installed here")
def test_each_process_has_a_clock_of_its_own_that_jumps(tmp_path: Path) -> None:
    tell = [sys.executable, "-c", "import datetime; print(datetime.datetime.now().timestamp())"]
    parts = wrong_clocks([Part("web", tell)] * 6, tmp_path, seed=1)

    told = [
        float(subprocess.run(part.command, capture_output=True, text=True, check=True).stdout)
        for part in parts
    ]

    wrong_by = [told_at - datetime.now(UTC).timestamp() for told_at in told]
    assert all(abs(seconds) < timedelta(minutes=11).total_seconds() for seconds in wrong_by)
    assert max(wrong_by) - min(wrong_by) > 60
