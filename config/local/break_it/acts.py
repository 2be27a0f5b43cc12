"""What can be done to a workflow. Each act ends with a sentence that says what was done."""

import os
import signal
from collections.abc import Callable

import psycopg
import requests
from botocore.exceptions import BotoCoreError, ClientError

from checkout.orders.queue.sqs import sqs_client
from config.local.break_it.diary import Diary, Kind
from config.local.break_it.scenes import MESSAGES, POSTGRES, SQS, RunningShop, Scene
from config.local.break_it.words import HABITS, HABITS_ELSEWHERE, counted, name_of
from config.local.designs import fifo_only
from config.local.postgres_proxy import Cut
from config.local.processes import Child, children_of, stop, wait_until

# A machine under load takes its time to start a process.
AGAIN_SECONDS = 60.0

SILENT_CHARGES = 5
CUTS = 3
MOST_SHOPPERS = 500

NOT_OURS = "This demo uses {} of your own, named by {}, which is not the demo's to break."
OWN_SQS = NOT_OURS.format("an SQS", "AWS_ENDPOINT_URL")
OWN_POSTGRES = NOT_OURS.format("a Postgres", "DATABASE_URL")

# A message of the workflow "FIFO only" stays hidden for so long, as in the drill.
VISIBILITY_SECONDS = 30


class Acts:
    def __init__(self, shop: RunningShop, scene: Callable[[], Scene], diary: Diary) -> None:
        self._shop = shop
        self._scene = scene
        self._diary = diary
        self._delivers_twice = False

    def state(self) -> list[str]:
        """What stays broken until somebody mends it."""
        sqs = self._shop.sqs
        told = {
            "SQS is stopped.": bool(sqs and not sqs.is_wanted),
            "SQS delivers every message twice.": self._delivers_twice,
            "The bank is away.": self._scene().is_bank_away,
        }
        return [words for words, is_so in told.items() if is_so]

    # --- Processes ----------------------------------------------------------------------------

    def kill_worker(self) -> str:
        if self._scene().key == "old":
            return "The old workflow has no worker: its web processes call the bank themselves."
        return self._kill("worker")

    def kill_publisher(self) -> str:
        if not self._scene().is_shop:
            return "This workflow has no publisher: its web processes send the messages themselves."
        return self._kill("publisher")

    def kill_web(self) -> str:
        """One of the processes that answer. Those of the shop belong to gunicorn, which starts
        another in the place of one that died."""
        if not self._scene().is_shop:
            return self._kill("web process", role="web")
        [master] = self._scene().roles["web"]
        before = children_of(master.pid)
        if not before:
            return self._kill("web process", role="web")
        self._diary.note(Kind.KILL, "kill -9 web process", about=master.name)
        os.kill(before[0], signal.SIGKILL)
        came: list[int] = []

        def has_come() -> bool:
            came[:] = [pid for pid in children_of(master.pid) if pid not in before]
            return bool(came)

        wait_until(has_come, seconds=AGAIN_SECONDS)
        killed = f"Killed a web process (pid {before[0]})."
        if not came:
            return f"{killed} No other is up yet."
        self._diary.note(
            Kind.START, f"web process started again (pid {came[0]})", about=master.name
        )
        return f"{killed} gunicorn started another as {came[0]}."

    def _kill(self, what: str, role: str = "") -> str:
        running = [part for part in self._scene().roles[role or what] if part.is_running]
        if not running:
            return f"The {what} is just being started again, so nothing was killed."
        part, died = running[0], running[0].pid
        others = len(children_of(died))
        with_others = f" with its {others} processes" if others > 1 else ""
        self._diary.note(Kind.KILL, f"kill -9 {what}", about=part.name)
        # The whole group, which is the process and its children: as if a machine had lost power.
        os.killpg(died, signal.SIGKILL)
        return f"Killed the {what} (pid {died}{with_others}). {_started_again(part, died)}"

    # --- The queue ----------------------------------------------------------------------------

    def stop_sqs(self) -> str:
        sqs = self._shop.sqs
        if sqs is None:
            return OWN_SQS
        if not sqs.is_wanted:
            return "SQS is stopped already."
        sqs.is_wanted = False
        died = sqs.child.pid
        self._diary.note(Kind.KILL, "SQS stopped", about=SQS)
        stop([sqs.child], seconds=5)
        said = f"Stopped SQS (pid {died}), and with it went every message in it."
        return f"{said} It stays away until you start it.{self._no_queue_here()}"

    def start_sqs(self) -> str:
        sqs = self._shop.sqs
        if sqs is None:
            return OWN_SQS
        if sqs.is_wanted and sqs.child.is_running:
            return f"SQS runs already, as pid {sqs.child.pid}."
        sqs.is_wanted = True
        self._delivers_twice = False
        if not wait_until(lambda: self._has_queue(self._shop.queue), seconds=AGAIN_SECONDS):
            return "SQS does not answer yet."
        queue = self._scene().queue
        if not self._scene().is_shop and queue:
            fifo_only.create_queue(sqs_client(), queue, visibility_seconds=VISIBILITY_SECONDS)
        said = f"SQS runs again as pid {sqs.child.pid}, with empty queues."
        return f"{said} {self._of_what_is_gone()}"

    def _of_what_is_gone(self) -> str:
        scene = self._scene()
        if scene.is_shop:
            return (
                "Within half a minute the publisher finds which orders wait for a message that is "
                "gone, and sends it again."
            )
        if scene.queue:
            return f"{name_of(scene.key)} sends no message again."
        return self._no_queue_here().strip()

    def _no_queue_here(self) -> str:
        scene = self._scene()
        return "" if scene.queue else f" {name_of(scene.key)} has no queue and does not notice."

    def _has_queue(self, name: str) -> bool:
        try:
            return bool(sqs_client().get_queue_url(QueueName=name))
        except (BotoCoreError, ClientError):
            return False

    def purge(self) -> str:
        queue = self._scene().queue
        if not queue:
            return "This workflow has no queue, so nothing was purged."
        answer = self._tell_sqs("purge", {"queue": queue})
        if isinstance(answer, str):
            return answer
        count = int(str(answer["purged"]))
        self._diary.note(Kind.KILL, "queue purged", about=MESSAGES)
        gone = counted(count, "message is", "messages are")
        return f"Purged the queue: {gone} gone. {self._of_what_is_gone() if count else ''}".strip()

    def deliver_twice(self) -> str:
        if not self._scene().queue:
            return self._without_queue()
        answer = self._tell_sqs("twice", {"on": True})
        if isinstance(answer, str):
            return answer
        self._delivers_twice = True
        return "From now on SQS delivers every message twice, even one that was deleted."

    def deliver_once(self) -> str:
        answer = self._tell_sqs("twice", {"on": False})
        if isinstance(answer, str):
            return answer
        self._delivers_twice = False
        return "SQS delivers a message once, unless whoever received it dies before deleting it."

    def _without_queue(self) -> str:
        if self._scene().key == "notify":
            return "This workflow's topic delivers one message in five twice, whatever you press."
        return "This workflow has no queue, so there is nothing to deliver twice."

    def _tell_sqs(self, control: str, wish: dict[str, object]) -> dict[str, object] | str:
        """The answer, or a sentence that says why there is none."""
        sqs = self._shop.sqs
        if sqs is None:
            return OWN_SQS
        if not sqs.child.is_running:
            return "SQS is stopped, so there is nothing to be done with it."
        reply = requests.post(f"{sqs.url}/control/{control}", json=wish, timeout=10)
        reply.raise_for_status()
        answer: dict[str, object] = reply.json()
        return answer

    # --- The bank -----------------------------------------------------------------------------

    def silence_bank(self) -> str:
        chain = ",".join(["confirm:silent"] * SILENT_CHARGES)
        # Those of an earlier press are taken back, so that a second press adds nothing.
        self._tell_bank({"calm": True, "next": chain})
        return (
            f"The bank will make the next {SILENT_CHARGES} charges and never answer. "
            "Send some shoppers: those who are hit are shown below. “The bank is back” ends it."
        )

    def send_bank_away(self) -> str:
        self._tell_bank({"outage": True})
        self._scene().is_bank_away = True
        return "The bank is away: it answers every call with an error, until you let it come back."

    def bring_bank_back(self) -> str:
        self._tell_bank({"outage": False, "calm": True})
        self._scene().is_bank_away = False
        said = "The bank is back and answers every call from now on: “never answers” has ended too."
        if not self._scene().is_shop:
            return said
        return f"{said} The shop repeats calls that failed, after pauses that grew with its tries."

    def _tell_bank(self, wish: dict[str, object]) -> None:
        url = f"{self._scene().sandbox_url}/sandbox/faults"
        requests.post(url, json=wish, timeout=10).raise_for_status()

    # --- Postgres -----------------------------------------------------------------------------

    def restart_postgres(self) -> str:
        postgres = self._shop.postgres
        if postgres is None or postgres.child is None:
            return OWN_POSTGRES
        before = postgres.child
        died = before.pid
        self._diary.note(Kind.KILL, "Postgres restarted", about=POSTGRES)
        stop([before], seconds=5)

        def is_up() -> bool:
            child = postgres.child
            return bool(child and child.is_running and child.pid != died and self._database_is_up())

        if not wait_until(is_up, seconds=AGAIN_SECONDS):
            return f"Stopped Postgres (pid {died}). It is not up again yet."
        return f"Restarted Postgres: pid {died} ended, and it runs again as {postgres.child.pid}."

    def _database_is_up(self) -> bool:
        try:
            with psycopg.connect(self._shop.database, connect_timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def cut_after_commit(self) -> str:
        wire = self._shop.wire
        if wire is None:
            return OWN_POSTGRES
        wire.cut_next(*[Cut.AFTER_COMMIT] * CUTS)
        return (
            f"The next {CUTS} orders will be committed, and the connection to Postgres cut before "
            "the web process hears of it. Send some shoppers: those who are hit are shown below."
        )

    # --- Shoppers -----------------------------------------------------------------------------

    def send_shoppers(self, count: int) -> str:
        count = max(1, min(MOST_SHOPPERS, count))
        scene = self._scene()
        scene.send_shoppers(count)
        habits = HABITS if scene.is_shop else HABITS_ELSEWHERE
        return f"Sent {counted(count, 'shopper')} to {name_of(scene.key)}. {habits}"


def _started_again(part: Child, died: int) -> str:
    if wait_until(lambda: part.is_running and part.pid != died, seconds=AGAIN_SECONDS):
        return f"The demo started it again as {part.pid}."
    return "It is not up again yet."
