"""The parts of the page that breaks the demo: who may press, what is counted."""

import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import psycopg
import pytest
import requests

from config.local.break_it.acts import Acts
from config.local.break_it.break_page import BreakPage
from config.local.break_it.buttons import Button, Group, Pressing
from config.local.break_it.diary import Diary
from config.local.break_it.figures import QUIET_SECONDS, Count, Figures
from config.local.break_it.findings import Finding
from config.local.break_it.page import TEMPLATE
from config.local.break_it.scenes import Scene, start_stand_in
from config.local.break_it.server import BreakServer, NotThisMachine
from config.local.crowd.orders import MadeOrder
from config.local.designs.stand_in import Addresses
from config.local.postgres_proxy import COMMIT, ROW_BY_ROW, Cut, Moment, PostgresProxy
from config.local.processes import CannotStart, Child, free_port
from config.local.watching import TOO_SOON_SECONDS, Watch
from tests.support.break_scene import (
    DesignOfTests,
    charge,
    order,
    scene_of_tests,
    shop_of,
    shopper,
)
from tests.support.processes import database_url, eventually


class PageOfTests:
    """Stands for the page behind the server."""

    def __init__(self) -> None:
        self.pressed: list[str] = []

    def html(self, purchase: str) -> str:
        return f"page of {purchase}"

    def press(self, key: str) -> str | None:
        self.pressed.append(key)
        return f"{key} done" if key == "purge" else None


@pytest.fixture
def page() -> PageOfTests:
    return PageOfTests()


@pytest.fixture
def server(page: PageOfTests) -> Iterator[BreakServer]:
    running = BreakServer(cast(BreakPage, page), port=0)
    running.start()
    yield running
    running.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "localhost", "192.168.1.2"])
def test_server_refuses_to_listen_elsewhere(page: PageOfTests, host: str) -> None:
    with pytest.raises(NotThisMachine, match=r"127\.0\.0\.1 alone"):
        BreakServer(cast(BreakPage, page), port=0, host=host)


def test_page_has_a_strict_policy(server: BreakServer) -> None:
    reply = requests.get(server.url, timeout=10)

    policy = reply.headers["Content-Security-Policy"]
    assert reply.ok
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<style|<script>|\son\w+=|style=", TEMPLATE.template)


@pytest.mark.parametrize("host", ["shop.example", "127.0.0.1", "127.0.0.1:1", "localhost:80"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_page_of_another_name_is_refused(
    server: BreakServer, page: PageOfTests, host: str, method: str
) -> None:
    """A page from elsewhere could have its own name lead to this machine's address."""
    headers = {"Host": host, "Origin": f"http://{host}"}
    reply = requests.request(method, f"{server.url}press/purge", headers=headers, timeout=10)

    assert reply.status_code == 421
    assert page.pressed == []


@pytest.mark.parametrize("origin", [None, "null", "http://shop.example", "http://127.0.0.1:1"])
def test_form_of_another_page_is_refused(
    server: BreakServer, page: PageOfTests, origin: str | None
) -> None:
    reply = requests.post(f"{server.url}press/purge", headers={"Origin": origin}, timeout=10)

    assert reply.status_code == 403
    assert page.pressed == []


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_form_of_the_page_presses_and_leads_back(
    server: BreakServer, page: PageOfTests, name: str
) -> None:
    url = f"http://{name}:{server.port}"
    headers = {"Origin": url, "Host": url.removeprefix("http://")}
    form = requests.post(
        f"{server.url}press/purge", headers=headers, timeout=10, allow_redirects=False
    )
    script = requests.post(
        f"{server.url}press/purge", headers=headers | {"Accept": "application/json"}, timeout=10
    )
    nothing = requests.post(f"{server.url}press/nothing", headers=headers, timeout=10)

    assert (form.status_code, form.headers["Location"]) == (303, "/")
    assert script.json() == {"said": "purge done"}
    assert nothing.status_code == 404
    assert page.pressed == ["purge", "purge", "nothing"]


class CountedLock:
    """How often it was asked for: once by the press that acts, and twice by each that waits."""

    def __init__(self) -> None:
        self.asked_for = 0
        self._lock = threading.Lock()
        self._counting = threading.Lock()

    def acquire(self, blocking: bool = True) -> bool:
        with self._counting:
            self.asked_for += 1
        return self._lock.acquire(blocking)

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *error: object) -> None:
        self.release()


def test_impatient_second_press_does_nothing_and_is_told_the_same() -> None:
    may_end, acts = threading.Event(), []

    def act() -> str:
        acts.append(1)
        may_end.wait(60)
        return f"Killed {len(acts)}."

    pressing = Pressing([Group("Kill", [Button("kill", "Kill", act)])], Diary())
    pressing._locks["kill"] = lock = CountedLock()  # type: ignore[assignment] # as good as one
    said: list[str | None] = []
    threads = [
        threading.Thread(target=lambda: said.append(pressing.press("kill"))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: len(acts) == 1 and lock.asked_for == 5, what="three presses")
    may_end.set()
    for thread in threads:
        thread.join()

    assert said == ["Killed 1."] * 3
    assert pressing.press("kill") == "Killed 2."
    assert pressing.press("unknown") is None


def test_act_that_fails_is_a_sentence() -> None:
    def act() -> str:
        raise requests.ConnectionError("nobody\nthere")

    pressing = Pressing([Group("Kill", [Button("kill", "Kill", act)])], diary := Diary())

    assert pressing.press("kill") == "That did not work: nobody there"
    assert [entry.words for entry in diary.entries()] == ["That did not work: nobody there"]


@pytest.mark.parametrize("act", ["stop_sqs", "start_sqs", "purge", "deliver_twice", "deliver_once"])
def test_queue_of_somebody_elses_is_left_alone(scene: Scene, tmp_path: Path, act: str) -> None:
    scene.queue = "payments.fifo"

    said = getattr(Acts(shop_of(tmp_path), lambda: scene, Diary()), act)()

    assert said.startswith("This demo uses an SQS of your own, named by AWS_ENDPOINT_URL")


@pytest.mark.parametrize("act", ["restart_postgres", "cut_after_commit"])
def test_database_of_somebody_elses_is_left_alone(scene: Scene, tmp_path: Path, act: str) -> None:
    said = getattr(Acts(shop_of(tmp_path), lambda: scene, Diary()), act)()

    assert said.startswith("This demo uses a Postgres of your own, named by DATABASE_URL")


@pytest.mark.parametrize(
    ("act", "says"),
    [
        ("kill_worker", "has no worker"),
        ("kill_publisher", "has no publisher"),
        ("purge", "has no queue"),
        ("deliver_twice", "has no queue"),
    ],
)
def test_what_a_workflow_does_not_have_is_said(
    scene: Scene, tmp_path: Path, act: str, says: str
) -> None:
    assert says in getattr(Acts(shop_of(tmp_path), lambda: scene, Diary()), act)()


def test_another_workflow_makes_no_database_on_somebody_elses_server(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="is left alone"):
        start_stand_in(shop_of(tmp_path), "old")


# --- What is counted ------------------------------------------------------------------------------


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    yield (made := scene_of_tests(tmp_path))
    made.log.close()


def verdict(scene: Scene) -> tuple[int, int, int]:
    found = Count(scene).look()
    return found.duplicates, found.lost, found.wrong


def test_purchase_with_one_order_and_one_charge_is_all_zeros(scene: Scene) -> None:
    shopper(scene, "ada", told="1")
    order(scene, "1", "ada")
    charge(scene, "1")

    found = Count(scene).look()

    assert (found.purchases, found.orders, found.charges, found.not_charged) == (1, 1, 1, 0)
    assert (found.duplicates, found.lost, found.wrong) == (0, 0, 0)
    assert found.is_at_rest
    assert not any(found.findings.values())


def test_second_order_and_second_charge_are_duplicates(scene: Scene) -> None:
    shopper(scene, "ada", told="1")
    order(scene, "1", "ada")
    order(scene, "2", "ada")
    for number in ("1", "1", "2"):
        charge(scene, number)

    found = Count(scene).look()

    assert (found.duplicate_orders, found.duplicate_charges) == (1, 2)
    assert (found.duplicates, found.lost, found.wrong) == (3, 0, 0)
    assert found.findings["Duplicates"] == [Finding("ada", "2 orders and 3 charges")]


def test_acknowledged_order_that_is_not_there_is_lost_at_once(scene: Scene) -> None:
    shopper(scene, "ada", told="1", card="pm_card_chargeDeclined")
    cast(DesignOfTests, scene.stand_in).left = 1  # other orders are still on their way

    assert verdict(scene) == (0, 1, 0)
    told = Finding("ada", "was told of an order that is not there")
    assert Count(scene).look().findings["Lost"] == [told]


def test_charge_that_did_not_come_is_lost_when_nothing_is_on_its_way(scene: Scene) -> None:
    shopper(scene, "ada", told="1")
    order(scene, "1", "ada", status="pending")
    design = cast(DesignOfTests, scene.stand_in)

    design.left = 1
    assert verdict(scene) == (0, 0, 0)
    design.left = 0
    assert verdict(scene) == (0, 1, 0)
    told = Finding("ada", "1 has a good card that was not charged")
    assert Count(scene).look().findings["Lost"] == [told]


def test_order_on_its_way_is_not_counted_as_not_charged(scene: Scene) -> None:
    shopper(scene, "ada", told="1", card="pm_card_chargeDeclined")
    order(scene, "1", "ada", status="failed")
    shopper(scene, "bob", told="2")
    order(scene, "2", "bob", status="pending")
    design = cast(DesignOfTests, scene.stand_in)

    design.left = 1
    found = Count(scene).look()
    assert (found.not_charged, found.under_way) == (1, 1)
    design.left = 0
    found = Count(scene).look()
    assert (found.not_charged, found.under_way) == (2, 0)  # at rest nothing is on its way


def test_charge_may_come_as_long_as_somebody_pressed_just_now(scene: Scene) -> None:
    shopper(scene, "ada", told="1")
    order(scene, "1", "ada", status="pending")
    scene.log.add("ada", began=time.time() - QUIET_SECONDS / 2, status=0)

    assert verdict(scene) == (0, 0, 0)


def test_wrong_amount_is_wrong_and_so_is_what_was_charged_and_is_not_paid(scene: Scene) -> None:
    shopper(scene, "ada", told="1")
    order(scene, "1", "ada")
    charge(scene, "1", amount=999)
    shopper(scene, "bob", told="2")
    order(scene, "2", "bob", status="pending")
    charge(scene, "2")

    assert verdict(scene) == (0, 0, 2)
    assert Count(scene).look().findings["Wrong"] == [
        Finding("ada", "1: charged 9.99 EUR instead of 10.00 EUR"),
        Finding("bob", "2 says “pending” and was charged"),
    ]


def test_order_that_is_charged_between_two_looks_is_not_wrong(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    shopper(scene, "ada", told="1")
    order(scene, "1", "ada", status="placed")
    design = cast(DesignOfTests, scene.stand_in)
    design.left = 1
    read = design.orders

    def read_and_charge(at: Addresses) -> list[MadeOrder]:
        found = read(at)
        charge(scene, "1")
        design.left = 0
        return found

    monkeypatch.setattr(design, "orders", read_and_charge)

    assert verdict(scene) == (0, 0, 0)


def test_charge_that_the_shop_has_still_to_hear_of_is_under_way(scene: Scene) -> None:
    """The customer approved at the bank, and what would have told the shop was purged: the sweep
    asks the bank within minutes."""
    shopper(scene, "ada", told="1")
    order(scene, "1", "ada", status="action_required")
    charge(scene, "1")

    found = Count(scene).look()

    assert (found.wrong, found.under_way, found.is_at_rest) == (0, 1, False)


def test_what_visitors_buy_by_hand_is_left_out(scene: Scene) -> None:
    order(scene, "1", "visitor")
    order(scene, "2", "visitor")
    charge(scene, "1")

    nothing: dict[str, list[Finding]] = {"Duplicates": [], "Lost": [], "Wrong": []}
    assert Count(scene).look() == replace(Figures(), is_at_rest=True, findings=nothing)


def test_database_that_does_not_answer_is_said_and_the_last_figures_stay(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    shopper(scene, "ada", told="1")
    order(scene, "1", "ada")
    count = Count(scene)
    count.look()

    def away(at: object) -> list[MadeOrder]:
        raise psycopg.OperationalError

    monkeypatch.setattr(scene.stand_in, "orders", away)
    found = count.look()

    assert found.is_stale
    assert found.under_way is None
    assert found.orders == 1


# --- What starts again, and the wire --------------------------------------------------------------


def a_child(name: str, folder: Path) -> Child:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    return Child(name=name, command=command, log=folder / f"{name}.log")


def test_what_died_is_started_again_and_what_was_ended_is_not(tmp_path: Path) -> None:
    died: list[tuple[str, int]] = []
    watch = Watch(lambda part, pid: died.append((part.name, pid)))
    killed, ended = a_child("killed", tmp_path), a_child("ended", tmp_path)
    try:
        watch.add(killed)
        watch.add(ended)
        watch.look()
        before = killed.pid
        watch.end([ended])
        killed.process.kill()  # type: ignore[union-attr] # it was started
        killed.process.wait()  # type: ignore[union-attr] # it was started

        killed.started_at = time.time()
        watch.look()
        assert not killed.is_running, "it died too soon after its start"
        killed.started_at -= TOO_SOON_SECONDS
        watch.look()

        assert killed.is_running
        assert died == [("killed", before)]
        assert not ended.is_running
    finally:
        watch.end(watch.parts())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("statement", "commits_itself"),
    [('INSERT INTO "orders_order" ', False), ("INSERT INTO orders_order ", True)],
)
def test_statement_that_was_prepared_long_ago_is_cut_after_its_commit(
    statement: str, commits_itself: bool
) -> None:
    port = int(re.findall(r":(\d+)/", database_url())[0])
    wire = PostgresProxy("127.0.0.1", port)
    url = database_url(port=wire.port)
    try:
        with psycopg.connect(database_url(), autocommit=True) as watching:
            watching.execute("CREATE TABLE wire_orders (number int)")
            with psycopg.connect(url, prepare_threshold=1, autocommit=commits_itself) as connection:
                query = f"INSERT INTO wire_orders /* {statement}*/ VALUES (%s)"

                def store(number: int) -> None:
                    connection.execute(query, [number])
                    connection.commit()  # which does nothing where the statement has committed

                for number in range(4):
                    store(number)
                wire.cut_next(Cut.AFTER_COMMIT)
                with pytest.raises(psycopg.OperationalError):
                    store(4)
            [count] = watching.execute("SELECT count(*) FROM wire_orders").fetchone() or [0]
            watching.execute("DROP TABLE wire_orders")
        assert count == 5
        assert wire.cuts_made == 1
    finally:
        wire.close()


def test_wire_keeps_what_was_said_of_the_order_that_it_cuts() -> None:
    moment = Moment()

    assert not moment.has_come(b"an earlier statement about bob@example.com")
    assert not moment.has_come(ROW_BY_ROW + b"VALUES ('ada@example.com')")
    assert not moment.has_come(b"INSERT INTO other_table VALUES ('a line')")
    assert moment.has_come(COMMIT)

    assert b"ada@example.com" in moment.said
    assert b"a line" in moment.said
    assert b"bob@example.com" not in moment.said


def test_wire_outlives_a_restart_of_postgres() -> None:
    port = free_port()
    wire = PostgresProxy("127.0.0.1", port)
    try:
        with socket.create_connection(("127.0.0.1", wire.port), timeout=5) as early:
            assert early.recv(1) == b""  # nobody is there, and the client is told so

        with (
            socket.create_server(("127.0.0.1", port)) as server,
            socket.create_connection(("127.0.0.1", wire.port), timeout=5) as later,
        ):
            server.settimeout(5)
            there, _ = server.accept()
            with there:
                there.sendall(b"R")
                assert later.recv(1) == b"R"
    finally:
        wire.close()
