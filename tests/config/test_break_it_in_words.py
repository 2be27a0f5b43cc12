"""What the page that breaks the demo says and draws, and that it is true of what was recorded."""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from config.local.break_it import story
from config.local.break_it.acts import Acts
from config.local.break_it.break_page import BreakPage
from config.local.break_it.diary import Diary, Entry, Kind
from config.local.break_it.faults import CUT, SILENT, Fault, Hit, Work, faults_of, hits_of
from config.local.break_it.feed import lines_of_the_feed
from config.local.break_it.figures import Count, Figures
from config.local.break_it.findings import Finding
from config.local.break_it.page import View, parts_of
from config.local.break_it.picture import as_html, places_of
from config.local.break_it.scenes import POSTGRES, SQS, Scene
from config.local.break_it.story import BANK, CALLS, QUEUE, SHOPPER, Mark, Story, story_of
from config.local.break_it.words import SAYS, answer_in_words
from config.local.postgres_proxy import MadeCut, PostgresProxy
from config.local.processes import Child
from payments.gateways.base import GatewayError, GatewayState, RefundState
from tests.support.break_scene import (
    LONG_AGO,
    charge,
    order,
    press,
    scene_of_tests,
    shop_of,
    shopper,
)
from tests.support.processes import eventually


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    yield (made := scene_of_tests(tmp_path))
    made.log.close()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[BreakPage]:
    yield (made := BreakPage(shop_of(tmp_path / "shop"), Diary()))
    made._shops_own.close()


def without_tags(html: str) -> str:
    return re.sub(r"<[^>]+>", "", html)


def shown(scene: Scene, figures: Figures | None = None, **more: Any) -> dict[str, str]:
    """The parts of the page, without their tags."""
    view: dict[str, Any] = {
        "shop": shop_of(scene.folder / "shop"),
        "scene": scene,
        "diary": Diary(),
        "figures": figures or Figures(),
        "hits": [],
        "faults": [],
        "numbers": {},
        "said": "",
        "starting": "",
        "state": [],
        "purchase": "",
    }
    return {name: without_tags(html) for name, html in parts_of(View(**view | more)).items()}


# --- While a workflow is being started ------------------------------------------------------------


def test_while_a_workflow_starts_that_is_said_and_nothing_else_is_done(
    scene: Scene, page: BreakPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_start, sent = threading.Event(), []

    def start(shop: object, key: str) -> Scene:
        may_start.wait(60)
        return scene

    def send(self: Scene, count: int) -> None:
        sent.append((self.key, count))

    monkeypatch.setattr("config.local.break_it.break_page.start_stand_in", start)
    monkeypatch.setattr(Scene, "send_shoppers", send)
    choosing = threading.Thread(target=page.choose, args=["old"])
    choosing.start()
    eventually(lambda: page.parts("")["starting"] == "old", what="the start")

    parts = page.parts("")
    refused = [page.send_shoppers(5), page.press("kill-worker"), page.choose("notify")]
    may_start.set()
    choosing.join()

    assert parts["said"] == parts["in_words"] == "Starting Old workflow…"
    assert '<button aria-pressed="true" aria-busy=true>Old workflow' in parts["workflows"]
    assert parts["workflows"].count('aria-pressed="true"') == 1
    for said in refused:
        assert said
        assert said.startswith("Nothing was done, because Old workflow is still being started.")
    assert sent == []
    assert page.parts("")["starting"] == ""
    assert page.send_shoppers(5).startswith("Sent 5 shoppers to Old workflow. Each presses")
    assert sent == [("old", 5)]


def test_workflow_that_cannot_start_lets_the_buttons_go(page: BreakPage) -> None:
    said = page.choose("old")

    assert said
    assert said.startswith("That did not work: Another workflow needs a database")
    assert page.parts("")["starting"] == ""
    assert page.parts("")["in_words"].startswith("Once: duplicates 0")


# --- Words ----------------------------------------------------------------------------------------


def test_answers_are_told_in_words() -> None:
    assert answer_in_words(303) == "answered: the order's address"
    assert answer_in_words(409).startswith("answered: the form came back")
    assert answer_in_words(402) == "answered: the card was declined (402)"
    assert answer_in_words(504) == "answered: the bank took too long, try again (504)"
    assert answer_in_words(0) == "no answer came"
    assert answer_in_words(418) == "answered: status 418"


def errors(kind: type[GatewayError]) -> Iterator[str]:
    for each in kind.__subclasses__():
        yield each.__name__
        yield from errors(each)


def test_each_outcome_of_a_call_to_the_bank_has_words() -> None:
    states = [state.value for state in (*GatewayState, *RefundState)]
    ours = {name for name in errors(GatewayError) if not name.startswith("_")}

    assert {*states, *ours, "", "0 found"} <= SAYS.keys()


def test_start_after_a_kill_of_the_page_is_known_as_one() -> None:
    diary = Diary()

    assert not diary.note(Kind.START, "died by hand", about="worker").is_told
    diary.note(Kind.KILL, "kill -9 worker", about="worker")
    assert not diary.note(Kind.START, "another part", about="publisher").is_told
    assert diary.note(Kind.START, "started again", about="worker").is_told
    assert not diary.note(Kind.START, "died by hand", about="worker").is_told


def test_feed_has_one_line_for_each_second_and_tells_a_restart_once(scene: Scene) -> None:
    diary = Diary()
    diary.note(Kind.KILL, "kill -9 worker", about="worker")
    diary.note(Kind.START, "worker started again", about="worker")
    diary.note(Kind.DONE, "Killed the worker (pid 7). The demo started it again as 8.")
    diary.note(Kind.START, "publisher started again (pid 9)", about="publisher")
    second = float(int(time.time() - LONG_AGO))
    for status in (303, 303, 0):
        scene.log.add("ada", began=second, status=status)
    for number, seconds in enumerate((0.2, 0.9, 0.5)):
        scene.log.presses[number] = replace(scene.log.presses[number], seconds=seconds)

    lines = lines_of_the_feed(scene, diary)

    assert [(words, is_done) for _, words, is_done in lines] == [
        ("publisher started again (pid 9)", True),
        ("Killed the worker (pid 7).", True),
        ("3 presses: 2 × the order's address, 1 × no answer", False),
    ]


@pytest.mark.parametrize(
    ("key", "queue", "says"),
    [
        ("old", "", "Old workflow has no queue and does not notice."),
        ("fifo-only", "a.fifo", "FIFO only sends no message again."),
    ],
)
def test_stopped_queue_is_told_as_the_workflow_sees_it(
    scene: Scene, tmp_path: Path, key: str, queue: str, says: str
) -> None:
    scene.key, scene.queue = key, queue

    assert Acts(shop_of(tmp_path), lambda: scene, Diary())._of_what_is_gone() == says


def test_bank_that_comes_back_answers_again(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, object]] = []
    acts = Acts(shop_of(tmp_path), lambda: scene, Diary())
    monkeypatch.setattr(acts, "_tell_bank", told.append)

    said = acts.bring_bank_back()

    assert told == [{"outage": False, "calm": True}]
    assert said.endswith("“never answers” has ended too.")


# --- Figures --------------------------------------------------------------------------------------


def test_duplicates_are_told_apart_and_what_is_cut_is_counted(scene: Scene) -> None:
    figures = Figures(
        shoppers=100,
        shoppers_done=3,
        duplicate_orders=52,
        duplicate_charges=48,
        wrong=1,
        findings={
            "Duplicates": [Finding(f"ada-{n}@example.com", "2 orders") for n in range(100)],
            "Wrong": [Finding("", "9: charged 1.00 EUR, and there is no such order")],
        },
    )
    view = shown(scene, figures)

    assert "Duplicates10052 orders and 48 charges too many" in view["verdict"]
    assert "ada-2: 2 ordersand 97 more purchases" in view["verdict"]
    assert "Wrong9: charged 1.00 EUR" in view["verdict"]
    assert "ada-3" not in view["verdict"]
    assert "3 are done, 97 still buy" in view["figures"]
    assert "They still change: not all shoppers are done." in view["whose"]
    assert view["in_words"] == "Old workflow: duplicates 100, lost 0, wrong 1; 0 orders, 0 charges"


def test_each_finding_leads_to_its_picture(scene: Scene) -> None:
    figures = Figures(lost=1, findings={"Lost": [Finding("ada@example.com", "is lost")]})
    html = parts_of(
        View(
            shop=shop_of(scene.folder / "shop"),
            scene=scene,
            diary=Diary(),
            figures=figures,
            hits=[],
            faults=[Fault(1.0, CUT, True, [f"bob-{n}@example.com" for n in range(6)])],
            numbers={"bob-0@example.com": "old-7"},
            said="",
            starting="",
            state=[],
            purchase="",
        )
    )

    assert '<a href="/?purchase=ada@example.com#picture">ada</a>: is lost' in html["verdict"]
    assert '<a href="/?purchase=bob-0@example.com#picture">old-7</a>, ' in html["hits"]
    assert without_tags(html["hits"]).endswith(
        f"{CUT}. Hit by this: old-7, bob-1, bob-2, bob-3 and 2 more."
    )


def test_what_a_workflow_does_not_have_is_no_figure_of_it(scene: Scene) -> None:
    wire = PostgresProxy("127.0.0.1", 1)
    wire.cuts = [MadeCut(1.0, b"shopper-ffff-0001@example.com")] * 3  # of another workflow
    shop = shop_of(scene.folder / "shop")
    shop.wire = wire
    try:
        figures = shown(scene, shop=shop)["figures"]
    finally:
        wire.close()

    assert "Messages–this workflow has no queue" in figures
    assert "Mails sent–this workflow sends none" in figures
    assert "Connections cut after COMMIT0" in figures


def test_mails_are_told_apart(scene: Scene) -> None:
    scene.stand_in = None  # the shop's own
    figures = shown(scene, Figures(mails={"received": 200, "paid": 188, "odd": 1}))["figures"]

    assert "Mails sent389“order received” 200, “receipt” 188, “odd” 1" in figures


# --- Which orders a fault has hit -----------------------------------------------------------------


class FaultsOfTheBank:
    def __init__(self, paths: Sequence[str], *, at: float) -> None:
        self._latest = [{"at": at, "fault": "silent", "path": path} for path in paths]

    def json(self) -> object:
        refused = {"at": 1.0, "fault": "503", "path": "/v1/payment_intents"}
        return {"latest": [*self._latest, refused]}


def test_cut_and_silence_lead_to_the_orders_that_they_hit(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = (f"shopper-{scene.run}-000{n}@example.com" for n in (1, 2))
    met = FaultsOfTheBank(["/v1/payment_intents/pi_bob/confirm"], at=1000.0)
    monkeypatch.setattr("config.local.break_it.faults.requests.get", lambda url, timeout: met)
    shopper(scene, ada, told="1")
    order(scene, "1", ada)
    charge(scene, "1", intent="pi_ada")
    shopper(scene, bob, told="2")
    order(scene, "2", bob)
    charge(scene, "2", intent="pi_bob", at=1000.0)
    wire = PostgresProxy("127.0.0.1", 1)
    others = "shopper-zzzz-0001@example.com"
    wire.cuts = [MadeCut(1.0, f"'{ada}'".encode()), MadeCut(2.0, others.encode())]
    try:
        hits = hits_of(scene, wire, scene.orders())
    finally:
        wire.close()

    assert [(hit.words, hit.purchase) for hit in hits] == [(CUT, ada), (SILENT, bob)]


@pytest.mark.parametrize(("charged_at", "hits"), [(999.0, 0), (1000.0, 1), (1012.0, 0)])
def test_charge_after_the_customers_approval_is_no_call_without_an_answer(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, charged_at: float, hits: int
) -> None:
    """The call had no answer. The bank only asked its customer then, who approved later."""
    ada = f"shopper-{scene.run}-0001@example.com"
    met = FaultsOfTheBank(["/v1/payment_intents/pi_ada/confirm"], at=1000.0)
    monkeypatch.setattr("config.local.break_it.faults.requests.get", lambda url, timeout: met)
    shopper(scene, ada, told="1")
    order(scene, "1", ada)
    charge(scene, "1", intent="pi_ada", at=charged_at)

    assert len(hits_of(scene, None, scene.orders())) == hits


def test_fault_is_told_with_the_purchases_that_were_at_work_then(scene: Scene) -> None:
    scene.roles = {"web": [a_part("old web 1")]}
    diary = Diary()
    moment = time.time()
    for name, after in (("ada", LONG_AGO - 1), ("bob", 0), ("cid", LONG_AGO - 2)):
        shopper(scene, name)
        press(scene, name, after=after, seconds=5)
    diary.note(Kind.KILL, "kill -9 web process", about="old web 1")
    diary.note(Kind.KILL, "SQS stopped", about=SQS)
    diary.note(Kind.KILL, "kill -9 worker", about="worker")
    count = Count(scene)
    count.look()

    [found] = faults_of(scene, diary, [], count.evidence)

    assert found.words == "kill -9 web process"  # it has no queue, and no worker of the shop's
    assert found.purchases == ["cid", "ada"]
    assert found.at >= moment


def test_fault_is_drawn_while_the_order_was_at_work_and_not_when_it_was_pressed_again(
    scene: Scene,
) -> None:
    scene.roles = {"web": [a_part("old web 1")]}
    press(scene, "ada", seconds=1)
    press(scene, "ada", after=17, seconds=1)
    first = scene.log.presses[0].at
    work = Work.on(scene, scene.log.presses, [], [])

    def is_met(after: float, about: str, kind: Kind = Kind.KILL) -> bool:
        return work.was_met_by(Entry(first + after, kind, "", about))

    assert is_met(0.5, "old web 1")
    assert not is_met(8, "old web 1")
    assert is_met(17.5, POSTGRES)
    assert not is_met(8, POSTGRES)
    assert is_met(1.5, "old web 1", Kind.START)
    assert not is_met(8, "old web 1", Kind.START)


def test_order_is_at_work_until_it_is_charged(scene: Scene) -> None:
    press(scene, "ada", seconds=1)
    first = scene.log.presses[0].at
    order(scene, "1", "ada", changed_at=first + 9)
    work = Work.on(scene, scene.log.presses, scene.orders(), [])

    assert work.was_met_by(Entry(first + 8, Kind.KILL, "", POSTGRES))
    assert not work.was_met_by(Entry(first + 10, Kind.KILL, "", POSTGRES))


def test_picture_is_that_of_the_order_which_a_fault_has_hit(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "_in_the_database", lambda scene, number: [])
    for name in ("ada@example.com", "bob@example.com"):
        shopper(scene, name, told="1")
    hit = Fault(1.0, CUT, True, ["ada@example.com"])
    none = Fault(2.0, "kill -9 worker", False, [])

    assert "Purchase of bob@example.com" in shown(scene)["picture"]
    assert "Purchase of ada@example.com" in shown(scene, faults=[none, hit])["picture"]
    chosen = shown(scene, faults=[hit], purchase="bob@example.com")
    assert "Purchase of bob@example.com" in chosen["picture"]
    unknown = shown(scene, purchase="eve@example.com")
    assert unknown["picture"] == "Old workflow has no purchase of eve@example.com."


# --- What is drawn --------------------------------------------------------------------------------


def test_story_tells_press_and_answer_apart_and_strictly_by_time(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    press(scene, "ada", seconds=8, status=504)
    first = int(scene.log.presses[0].at)
    order(scene, "old-1", "ada")
    charge(scene, "old-1", at=first + 2)
    stored = Mark(first + 1, first + 1, story.DATABASE, "committed: order old-1")
    monkeypatch.setattr(story, "_in_the_database", lambda scene, number: [stored])
    hit = Hit(first + 3, CUT, "ada")

    found = story_of(scene, Diary(), [hit, Hit(first, CUT, "bob")], "ada")

    assert found
    assert [words for _, words in found.lines()] == [
        "Shopper: pressed",
        "Database: committed: order old-1",
        "Calls to the bank: asked the bank to charge, and it did",
        "Bank's ledger: charged 10.00 EUR",
        CUT,
        "Shopper: answered: the bank took too long, try again (504)",
    ]
    assert [mark.lane for mark in found.marks].count(CALLS) == 1
    assert any("does not write down its calls" in note for note in found.notes)
    assert any("has no queue" in note for note in found.notes)


def test_picture_draws_presses_messages_charges_and_faults_and_lists_them() -> None:
    marks = [
        Mark(100.0, 100.5, SHOPPER, "pressed", "no answer came", is_lost=True),
        Mark(101.0, 101.0, QUEUE, "message received"),
        Mark(103.0, 103.0, BANK, "charged 12.00 EUR"),
    ]
    broken = [Entry(102.0, Kind.KILL, "kill -9 worker <1>")]

    html = as_html(Story("ada@example.com", ["100482-31"], marks, broken, ["A note."]))

    drawing, _, legend = html.partition("</svg>")
    assert drawing.count('class="mark ') == 3
    assert drawing.count('class="kill"') == 1
    assert 'role="img" aria-label="Purchase of ada@example.com: 100482-31"' in drawing
    assert "<title>pressed … no answer came (0.50 s)</title>" in drawing
    told = re.findall(r'<li><span class="when">([^<]*)</span> ([^<]*)</li>', html)
    assert told == [
        ("+0.00 s", "Shopper: pressed"),
        ("+0.50 s", "Shopper: no answer came"),
        ("+1.00 s", "Queue: message received"),
        ("+2.00 s", "kill -9 worker &lt;1&gt;"),
        ("+3.00 s", "Bank&#x27;s ledger: charged 12.00 EUR"),
    ]
    for sign in ("a moment", "without an answer", "something was broken", "A note."):
        assert sign in legend
    assert "<1>" not in html


def test_picture_without_a_fault_has_no_empty_band() -> None:
    def height(broken: list[Entry]) -> int:
        marks = [Mark(100.0, 100.5, SHOPPER, "pressed", "no answer came")]
        html = as_html(Story("ada", [], marks, broken, []))
        return int(re.findall(r'viewBox="0 0 960 (\d+)"', html)[0])

    assert height([]) < height([Entry(100.1, Kind.KILL, "kill")])


def test_long_wait_leaves_room_for_quick_steps() -> None:
    x = places_of([0.0, 0.1, 0.2, 30.0])

    assert x(0.0) < x(0.1) < x(0.2) < x(30.0)
    assert x(0.1) - x(0.0) > 30  # to scale it would be 3
    assert places_of([5.0])(5.0) == x(0.0)


def a_part(name: str) -> Child:
    return Child(name=name, command=[], log=Path())
