"""The page where anybody breaks the demo: each button is pressed in a real browser, and what the
page says was done is looked up where it happened: among the processes, the queue, the ledger."""

import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from config.local.crowd.records import charges_in, lines_of
from config.local.processes import free_port
from tests.browser.conftest import needs_axe
from tests.browser.screenshots import violations_of
from tests.browser.visitor import Visitor, until
from tests.support.long import long
from tests.support.open_folder import open_folder
from tests.support.processes import is_alive
from tests.support.running_demo import RunningDemo

# One demo for all of them, which takes half a minute to start on a busy machine.
pytestmark = pytest.mark.timeout(900)

# An act may wait until a process is up again.
ANSWER_MS = 120_000
SECONDS = 300
RUNS = 10

DIED = {
    "Kill the worker": (r"\(pid (\d+).*again as (\d+)", "run_payment_worker"),
    "Kill the publisher": (r"\(pid (\d+).*again as (\d+)", "run_outbox_publisher"),
    "Kill a web process": (r"\(pid (\d+).*another as (\d+)", "gunicorn"),
    "Restart Postgres": (r"pid (\d+) ended.*again as (\d+)", "postgres"),
}

ZEROS = {"Duplicates": 0, "Lost": 0, "Wrong": 0}


class BreakPage:
    """The page as somebody at a browser uses it."""

    def __init__(self, browser: Browser, demo: RunningDemo, *, javascript: bool = True) -> None:
        self.demo = demo
        [self.url] = re.findall(r"^Break it (\S+)$", demo.said, re.MULTILINE)
        context = browser.new_context(
            base_url=self.url,
            java_script_enabled=javascript,
            viewport={"width": 1280, "height": 1000},
        )
        context.set_default_timeout(ANSWER_MS)
        self.visitor = Visitor(context)
        self.page: Page = self.visitor.page
        self.page.goto("/")

    def press(self, label: str, says: str) -> list[str]:
        """What the groups of the pattern found in the page's answer."""
        self.page.get_by_role("button", name=label, exact=True).click()
        answer = self.page.locator("#answer")
        expect(answer).to_have_text(re.compile(says), timeout=ANSWER_MS)
        found = re.search(says, answer.inner_text())
        assert found
        return list(found.groups())

    def send(self, shoppers: int, to: str = "Once") -> None:
        self.page.get_by_label("Shoppers").fill(str(shoppers))
        self.press("Send shoppers", f"Sent {shoppers} shoppers? to {to}\\.")

    def choose(self, workflow: str) -> None:
        self.press(workflow, f"Chosen: {workflow}")
        # The answer is there before the look that shows the figures and processes of the workflow.
        whose = self.page.locator("#whose strong").first
        expect(whose).to_have_text(workflow, timeout=ANSWER_MS)
        chosen = self.page.locator("#workflows button[aria-pressed=true]")
        expect(chosen).to_have_text(workflow, timeout=ANSWER_MS)

    def figure(self, name: str) -> int | None:
        row = self.page.locator("#figures tr").filter(has_text=name)
        text = row.locator("td").first.inner_text()
        return int(text) if text.isdecimal() else None

    def verdict(self) -> dict[str, int]:
        rows = self.page.locator("#verdict dl div").evaluate_all(
            "rows => rows.map(row => [...row.children].slice(0, 2).map(cell => cell.textContent))"
        )
        return {name: int(count) for name, count in rows}

    def assert_zeros(self) -> None:
        examples = self.page.locator("#verdict li").all_inner_texts()
        assert (self.verdict(), examples) == (ZEROS, [])

    def until(self, is_so: Callable[[], bool], what: str) -> None:
        try:
            until(self.page, is_so, what, seconds=SECONDS)
        except AssertionError:
            for part in ("#figures", "#processes", "#events"):
                print(part, self.page.locator(part).inner_text(), sep="\n")
            raise

    def until_all_left(self, shoppers: int) -> None:
        """Every shopper is done, and nothing is under way any more."""
        left = f"all {shoppers} are done"
        self.until(
            lambda: (
                left in self.page.locator("#figures").inner_text()
                and self.figure("Orders on their way now") == 0
            ),
            left,
        )

    def pictures(self) -> Iterator[str]:
        """What the picture of each purchase tells, as far as the page names them."""
        links = self.page.locator("#purchases a")
        for href in [link.get_attribute("href") or "" for link in links.all()]:
            self.page.goto(href)
            yield self.page.locator("#picture").inner_text()

    def pids(self) -> set[int]:
        return pids_in(self.page.locator("#processes").inner_text())

    def pids_of(self, part: str) -> set[int]:
        """Those of a part of the shop, with its children."""
        name = re.compile(rf"^\s*{part}\s*\d")
        return pids_in(self.page.locator("#processes tr").filter(has_text=name).inner_text())

    def close(self) -> None:
        self.visitor.context.close()
        assert self.visitor.problems == []


def pids_in(text: str) -> set[int]:
    return {int(pid) for pid in re.findall(r"\b\d{2,}\b(?! s| min)", text)}


@contextmanager
def standing_still(pids: set[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    with open_folder("broken-demo") as folder:
        running = RunningDemo(folder, free_port())
        try:
            running.wait_for("Ctrl-C ends everything.", seconds=SECONDS)
            yield running
        finally:
            running.end()


@pytest.fixture
def break_page(browser: Browser, demo: RunningDemo) -> Iterator[BreakPage]:
    page = BreakPage(browser, demo)
    yield page
    page.choose("Once")
    page.close()


def command_of(pid: str) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def sqs_answers(demo: RunningDemo) -> bool:
    try:
        return requests.get(f"{demo.settings()['AWS_ENDPOINT_URL']}/control/requests").ok
    except requests.ConnectionError:
        return False


def done_by_the_queue(demo: RunningDemo) -> Counter[str]:
    return Counter(entry["did"] for entry in lines_of(demo.folder / "queue-journal.jsonl"))


def charges_by_order(demo: RunningDemo) -> Counter[str]:
    return Counter(charge.order for charge in charges_in(demo.folder / "sandbox-ledger.jsonl"))


@long
def test_what_is_killed_comes_again_and_the_old_workflow_buys_twice(
    break_page: BreakPage, demo: RunningDemo
) -> None:
    for label, (says, program) in DIED.items():
        died, again = break_page.press(label, says)
        assert not is_alive(int(died)), label
        assert program in command_of(again), label

    [stopped] = break_page.press("Stop SQS", r"Stopped SQS \(pid (\d+)\)")
    assert not is_alive(int(stopped))
    assert not sqs_answers(demo)
    break_page.press("Purge the queue", "SQS is stopped")
    [started] = break_page.press("Start SQS", r"SQS runs again as pid (\d+)")
    assert "sqs_double" in command_of(started)
    assert sqs_answers(demo)
    break_page.assert_zeros()

    break_page.choose("Old workflow")
    break_page.send(20, to="Old workflow")
    break_page.until(lambda: break_page.verdict()["Duplicates"] > 0, "a duplicate")
    told = break_page.page.locator("#verdict dd.apart").inner_text()
    assert re.fullmatch(r"\d+ orders? and \d+ charges? too many", told)
    twice = break_page.page.locator("#verdict li a").first.get_attribute("href") or ""
    break_page.page.goto(twice)
    story = break_page.page.locator("#picture .story")
    expect(story).to_contain_text("Calls to the bank: asked the bank to charge")


@long
def test_shoppers_are_charged_once_whatever_goes_wrong(
    break_page: BreakPage, demo: RunningDemo
) -> None:
    faults = f"{demo.settings()['STRIPE_API_BASE']}/sandbox/faults"
    break_page.press("The bank charges and never answers", "next 5 charges")
    break_page.press("Cut the connection after COMMIT", "next 3 orders")
    break_page.press("Deliver everything twice", "every message twice")
    sent = (break_page.figure("Shoppers sent") or 0) + 12
    presses = break_page.figure("Presses") or 0
    break_page.send(12)
    break_page.until(lambda: (break_page.figure("Presses") or 0) > presses + 3, "some presses")
    break_page.press("Kill the worker", "again as")
    break_page.press("Kill a web process", "another as")
    break_page.until_all_left(sent)

    assert requests.get(faults, timeout=10).json()["hits"]["silent"] >= 1
    assert break_page.figure("Connections cut after COMMIT") == 3
    met = break_page.page.locator("#hits li")
    cut = met.filter(has_text="connection cut after COMMIT. Hit by this")
    expect(cut.locator("a")).not_to_have_count(0)  # two presses of one order may both be cut
    expect(met.filter(has_text="did not answer. Hit by this")).to_have_count(1)
    expect(met.filter(has_text="kill -9 worker")).not_to_have_count(0)
    break_page.page.goto(cut.locator("a").first.get_attribute("href") or "")
    expect(break_page.page.locator("#picture .story")).to_contain_text("cut after COMMIT")
    assert done_by_the_queue(demo)["delivered twice"] > 0
    assert break_page.figure("Orders") == sent
    charges = charges_by_order(demo)
    assert break_page.figure("Charges") == len(charges) - 1  # the demo's own first purchase
    assert set(charges.values()) == {1}
    break_page.assert_zeros()

    break_page.press("Deliver everything twice", "every message twice")
    break_page.press("Deliver once", "delivers a message once")
    picture = break_page.page.locator("#picture")
    expect(picture.locator("svg[role=img]")).to_be_visible()
    expect(picture.locator("h3")).to_contain_text("shopper-")
    assert any("Bank's ledger: charged" in told for told in break_page.pictures())


@long
def test_bank_that_is_away_keeps_messages_which_can_be_purged(
    break_page: BreakPage, demo: RunningDemo
) -> None:
    def unpaid() -> int:
        with psycopg.connect(demo.settings()["DATABASE_URL"]) as connection:
            query = "SELECT count(*) FROM orders_order WHERE status = 'placed'"
            row = connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    journal = demo.folder / "queue-journal.jsonl"

    break_page.press("The bank is away", "The bank is away")
    expect(break_page.page.locator("#state")).to_have_text("The bank is away.")
    sent = (break_page.figure("Shoppers sent") or 0) + 6
    break_page.send(6)
    break_page.until(lambda: unpaid() >= 4, "orders that wait")

    with standing_still(break_page.pids_of("worker")):  # or it may try them just now
        break_page.until(lambda: (break_page.figure("Messages waiting") or 0) > 0, "a message")
        [told] = break_page.press("Purge the queue", r"Purged the queue: (\d+) message")
        purges = [entry for entry in lines_of(journal) if entry["did"] == "purged"]
        assert purges[-1]["count"] == int(told) > 0

    break_page.press("The bank is back", "The bank is back")
    break_page.until_all_left(sent)
    assert unpaid() == 0
    assert set(charges_by_order(demo).values()) == {1}
    break_page.assert_zeros()


@long
def test_old_workflow_buys_twice_in_every_run(break_page: BreakPage) -> None:
    found = []
    for _ in range(RUNS):
        before = break_page.pids()
        break_page.choose("Old workflow")
        started = break_page.pids() - before
        break_page.send(100, to="Old workflow")
        break_page.until(lambda: break_page.verdict()["Duplicates"] > 0, "a duplicate")
        found.append(break_page.verdict()["Duplicates"])
        break_page.choose("Once")
        assert len(started) == 3  # two web processes and a bank
        assert not any(is_alive(pid) for pid in started)

    print(f"Duplicates in {RUNS} runs: {found}")
    assert len(found) == RUNS


@long
@pytest.mark.parametrize("workflow", ["Notify", "FIFO only"])
def test_other_workflows_do_not_stay_at_zero(break_page: BreakPage, workflow: str) -> None:
    page = break_page.page
    send = page.get_by_role("button", name="Send shoppers")
    page.get_by_role("button", name=workflow).click()
    expect(page.locator("#answer")).to_have_text(f"Starting {workflow}…")
    expect(send).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_role("button", name="Stop SQS")).to_have_attribute("aria-disabled", "true")
    expect(page.locator("#workflows button[aria-pressed=true]")).to_have_text(workflow)
    expect(page.locator("#answer")).to_contain_text(f"Chosen: {workflow}", timeout=ANSWER_MS)
    expect(send).not_to_have_attribute("aria-disabled", "true")

    break_page.send(40, to=workflow)
    break_page.until(lambda: break_page.verdict() != ZEROS, "a figure above 0")


@long
def test_page_works_without_scripts(browser: Browser, demo: RunningDemo) -> None:
    visitor = BreakPage(browser, demo, javascript=False)
    expect(visitor.page.get_by_text("does not change by itself")).to_be_visible()
    sent = visitor.figure("Shoppers sent") or 0

    died, again = visitor.press("Kill the publisher", r"\(pid (\d+).*again as (\d+)")
    visitor.send(1)

    assert not is_alive(int(died))
    assert is_alive(int(again))
    assert visitor.figure("Shoppers sent") == sent + 1
    visitor.close()


@long
def test_page_works_by_keyboard_alone(break_page: BreakPage) -> None:
    page = break_page.page
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the buttons")).to_be_focused()
    page.get_by_label("Shoppers").fill("1")
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_contain_text("Sent 1 shopper")
    button = page.get_by_role("button", name="Kill the publisher")
    button.focus()
    page.keyboard.press("Space")
    expect(page.locator("#answer")).to_contain_text("again as", timeout=ANSWER_MS)

    expect(button).to_be_focused()


@long
def test_answer_and_figures_are_in_view_beside_each_button_of_a_phone(
    break_page: BreakPage,
) -> None:
    page = break_page.page
    page.set_viewport_size({"width": 390, "height": 844})
    button = page.get_by_role("button", name="The bank is back")
    button.scroll_into_view_if_needed()
    break_page.press("The bank is back", "answers every call from now on")

    expect(button).to_be_in_viewport()
    expect(page.locator("#answer")).to_be_in_viewport()
    expect(page.locator("#in-words")).to_be_in_viewport()
    expect(page.locator("#in-words")).to_have_text(re.compile(r"^Once: duplicates 0, lost 0"))
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@long
def test_words_for_those_who_see_no_table_are_those_of_the_table(break_page: BreakPage) -> None:
    sent = (break_page.figure("Shoppers sent") or 0) + 3
    break_page.send(3)
    break_page.until_all_left(sent)

    orders, charges = break_page.figure("Orders"), break_page.figure("Charges")
    expect(break_page.page.locator("#in-words")).to_have_text(
        f"Once: duplicates 0, lost 0, wrong 0; {orders} orders, {charges} charges"
    )


@long
@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_page_breaks_no_rule_of_accessibility(
    break_page: BreakPage, scheme: str, width: int
) -> None:
    page = break_page.page
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 900})
    break_page.send(1)
    expect(page.locator("#picture .drawing svg")).to_be_visible(timeout=ANSWER_MS)

    assert violations_of(page, f"break page, {scheme}, {width}") == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
