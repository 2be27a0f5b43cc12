"""`make demo`, as somebody meets it who has just cloned the repository."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import psycopg
import pytest
import requests

from config.local.demo import Demo
from config.local.demo_settings import DEFAULTS, REPLACEABLE
from config.local.processes import free_port
from tests.support.long import long
from tests.support.open_folder import open_folder
from tests.support.processes import eventually
from tests.support.running_demo import BROUGHT, END_SECONDS, ROOT, RunningDemo, are_gone
from tests.support.shopper import read_form

# The environment that the tests run in is the installed one.
MAKE_DEMO = ["make", "--assume-old=.venv/.installed", f"PYTHON={sys.executable}", "demo"]

# For all nine processes to start, on a slow machine.
SECONDS = 180

# Of the order to Ireland. The VAT is 23 % of what it is added to, 7.70 * 23 / 123 = 1.4398.
PARTS = """
  Goods                            €2.80
  Delivery (Standard parcel)       €4.90
  Total                            €7.70
  Includes 23 % VAT                €1.44
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder("demo") as folder:
        yield folder


@pytest.fixture
def demo(folder: Path) -> Iterator[RunningDemo]:
    running = RunningDemo(folder, free_port())
    yield running
    running.end()


@long  # the bare run of `.ci/run` comes as far as the first purchase as well
@pytest.mark.timeout(400)  # two demos, of which each starts nine processes
def test_demo_from_its_first_purchase_to_its_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One demo, for each start of one costs half a minute: in a region of the user's choice it
    sells, is asked from another terminal, loses a worker, is killed, starts again and ends."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    demo = RunningDemo(folder, free_port())
    second = None
    try:
        demo.wait_for("Ctrl-C ends everything.", seconds=SECONDS)
        assert_one_order_of_five_submits(demo)
        assert_its_administrator_gets_in(demo)
        assert_the_queue_is_in("eu-central-1", demo.settings())
        assert_audit_in_another_terminal_finds_nothing(folder)

        os.kill(demo.pid_of("the worker"), signal.SIGKILL)
        demo.wait_for("worker died")
        press_on_the_break_page(demo, "kill-worker")
        demo.wait_for("worker was ended by the page")

        started = demo.processes()
        assert len(started) >= 8  # Postgres, SQS, sandbox, web and its two, publisher, worker, …
        demo.process.kill()
        demo.process.wait()
        eventually(lambda: are_gone(started), what="the end of every process")

        second = RunningDemo(folder, free_port())
        second.wait_for("Ctrl-C ends everything.", seconds=SECONDS)
        assert "Found 1 earlier order." in second.said
        with psycopg.connect(second.settings()["DATABASE_URL"]) as connection:
            row = connection.execute("SELECT count(*) FROM orders_order").fetchone()
        assert row == (2,)

        started = second.processes()
        second.process.terminate()
        assert second.process.wait(timeout=END_SECONDS) == 0
        assert "Everything has ended" in second.said
        eventually(lambda: are_gone(started), what="the end of every process")
        assert not (folder / "demo.env").exists()
    finally:
        for each in filter(None, [demo, second]):
            each.end()


def assert_one_order_of_five_submits(demo: RunningDemo) -> None:
    answers = re.findall(r"^  [1-5]  .* 303 to (/orders/\S+/) ", demo.said, re.MULTILINE)
    assert len(answers) == 5
    assert len(set(answers)) == 1
    assert len(re.findall(r"^One order: \S+, €7.70, Paid$", demo.said, re.MULTILINE)) == 1
    assert PARTS in demo.said
    assert "4 of the 5 presses found it there already, and changed nothing." in demo.said
    assert_history_agrees_with_the_presses(demo)
    assert "Payment succeeded" in demo.said
    assert "One charge in the gateway's ledger" in demo.said
    assert (demo.folder / "demo.env").stat().st_mode & 0o077 == 0

    stranger = requests.get(f"http://127.0.0.1:{demo.port}{answers[0]}", timeout=10)
    assert stranger.status_code == 404
    [link] = re.findall(r"^Its page.* (http\S+)$", demo.said, re.MULTILINE)
    page = requests.Session().get(link, timeout=10)
    assert "You were charged once" in page.text


def assert_history_agrees_with_the_presses(demo: RunningDemo) -> None:
    """The order was placed while the press that placed it waited for its answer."""
    ended = re.findall(r"^  [1-5]  .* from \d+\.\d\d to (\d+\.\d\d) s$", demo.said, re.MULTILINE)
    history = re.findall(r"^  [\d:]{8} +(\d+\.\d\d) s  (.+)$", demo.said, re.MULTILINE)
    times = [float(at) for at, _ in history]
    assert len(ended) == 5
    assert times == sorted(times)
    assert history[0][1] == "Order placed"
    assert times[0] <= min(float(at) for at in ended)
    assert [what for _, what in history].count("Sent again") == 4


def assert_its_administrator_gets_in(demo: RunningDemo) -> None:
    """By the name and password that the demo prints."""
    [(address, name, password)] = re.findall(
        r"^Admin +(\S+) +\((\w+), password (\w+)\)$", demo.said, re.MULTILINE
    )
    browser = requests.Session()
    form = read_form(browser.get(f"{address}login/", timeout=10).text, "/admin/login/")
    form |= {"username": name, "password": password}
    page = browser.post(f"{address}login/?next=/admin/", form, timeout=10)
    assert "Log out" in page.text


def press_on_the_break_page(demo: RunningDemo, button: str) -> None:
    [page] = re.findall(r"^Break it (\S+)/$", demo.said, re.MULTILINE)
    requests.post(f"{page}/press/{button}", headers={"Origin": page}, timeout=120)


def assert_the_queue_is_in(region: str, told: dict[str, str]) -> None:
    sqs = boto3.client(
        "sqs",
        region_name=region,
        endpoint_url=told["AWS_ENDPOINT_URL"],
        aws_access_key_id=told["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=told["AWS_SECRET_ACCESS_KEY"],
    )
    assert told["AWS_REGION"] == region
    assert sqs.get_queue_url(QueueName="payments.fifo")["QueueUrl"]


def assert_audit_in_another_terminal_finds_nothing(folder: Path) -> None:
    untold = [*BROUGHT, "SECRET_KEY", "STRIPE_API_BASE", "STRIPE_SECRET_KEY", "ALLOWED_HOSTS"]
    environment = {name: value for name, value in os.environ.items() if name not in untold}

    audit = subprocess.run(
        [sys.executable, "manage.py", "audit_orders"],
        cwd=ROOT,
        env=environment | {"DEMO_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert audit.returncode == 0, audit.stderr


def test_signal_to_make_ends_the_demo(folder: Path) -> None:
    demo = RunningDemo(folder, free_port(), MAKE_DEMO)
    demo.wait_for(" SQS")
    started = demo.processes()

    demo.process.terminate()
    demo.process.wait(timeout=END_SECONDS)

    assert len(started) >= 3  # the demo, Postgres and SQS
    eventually(lambda: are_gone(started), what="the end of every process")
    assert "Everything has ended" in demo.said


def test_services_that_somebody_names_are_used_and_told_to_other_terminals(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "url").write_text("postgres://shop@db.example/shop\n")
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("DATABASE_URL_FILE", str(folder / "url"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://sqs.example")

    environment = Demo(folder, free_port()).environment

    assert environment["DATABASE_URL"] == "postgres://shop@db.example/shop"
    assert environment["AWS_ENDPOINT_URL"] == "http://sqs.example"


@pytest.mark.parametrize("name", [*DEFAULTS, *REPLACEABLE])
def test_what_somebody_has_set_is_used_and_told_to_other_terminals(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "as somebody wants it")

    assert Demo(folder, free_port()).environment[name] == "as somebody wants it"


def test_what_follows_from_what_is_started_wins(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", "somebody's own")
    monkeypatch.setenv("ALLOWED_HOSTS", "shop.example")

    environment = Demo(folder, free_port()).environment

    assert environment["STRIPE_SECRET_KEY"] == "sk_test_sandbox"
    assert environment["ALLOWED_HOSTS"] == "shop.example,localhost,127.0.0.1"


def test_folder_that_cannot_be_used_is_one_line(folder: Path) -> None:
    (folder / "demo.lock").mkdir()

    demo = RunningDemo(folder, free_port())

    assert demo.process.wait(timeout=30) == 1
    assert demo.said.startswith("The demo cannot go on: ")
    assert demo.said.count("\n") == 1


def test_taken_port_is_one_line(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = RunningDemo(folder, port)

        assert demo.process.wait(timeout=30) == 1

    assert demo.said == (
        f"Port {port} is taken by another program. Try: make demo PORT={port + 1}\n"
    )


# What is raised in `__del__` is dropped by Python. So it happens by chance, as in a callback of a
# weak reference, wherever the signal comes at that moment.
LOSES_WHAT_IS_RAISED = """
import os, signal, time
from config.local import demo

class Cleaned:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)

def run(self):
    Cleaned()
    time.sleep(60)

demo.Demo.run = run
demo.main()
"""


def test_signal_that_comes_while_python_cleans_up_ends_the_demo_all_the_same() -> None:
    command = [sys.executable, "-c", LOSES_WHAT_IS_RAISED]

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)

    assert "Exception ignored" in ended.stderr
    assert (ended.returncode, ended.stdout) == (
        0,
        "Everything has ended. The orders are kept.\n",
    )


def test_second_demo_in_one_folder_is_one_line(demo: RunningDemo, folder: Path) -> None:
    demo.wait_for("Postgres")

    second = RunningDemo(folder, free_port())

    assert second.process.wait(timeout=30) == 1
    assert second.said == "A demo is running in this folder already.\n"
