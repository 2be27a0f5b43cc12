"""The buttons of the page: what stands on each, and which act it is."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from config.local.break_it.acts import Acts
from config.local.break_it.diary import Diary, Kind
from config.local.break_it.figures import AWAY
from config.local.processes import CannotStart


@dataclass(frozen=True)
class Button:
    key: str
    label: str
    act: Callable[[], str]


@dataclass(frozen=True)
class Group:
    title: str
    buttons: list[Button]


def groups_of(acts: Acts) -> list[Group]:
    killing = [
        Button("kill-worker", "Kill the worker", acts.kill_worker),
        Button("kill-publisher", "Kill the publisher", acts.kill_publisher),
        Button("kill-web", "Kill a web process", acts.kill_web),
    ]
    queue = [
        Button("stop-sqs", "Stop SQS", acts.stop_sqs),
        Button("start-sqs", "Start SQS", acts.start_sqs),
        Button("purge", "Purge the queue", acts.purge),
        Button("twice", "Deliver everything twice", acts.deliver_twice),
        Button("once", "Deliver once", acts.deliver_once),
    ]
    bank = [
        Button("bank-silent", "The bank charges and never answers", acts.silence_bank),
        Button("bank-away", "The bank is away", acts.send_bank_away),
        Button("bank-back", "The bank is back", acts.bring_bank_back),
    ]
    database = [
        Button("postgres", "Restart Postgres", acts.restart_postgres),
        Button("cut", "Cut the connection after COMMIT", acts.cut_after_commit),
    ]
    return [
        Group("Kill a process (kill -9)", killing),
        Group("The queue (SQS)", queue),
        Group("The bank that charges the cards", bank),
        Group("The database (Postgres)", database),
    ]


class Pressing:
    """Acts once for all who press a button while its act is under way, and tells all of them."""

    def __init__(self, groups: Iterable[Group], diary: Diary) -> None:
        self._acts = {button.key: button.act for group in groups for button in group.buttons}
        self._locks = {key: threading.Lock() for key in self._acts}
        self._said = dict.fromkeys(self._acts, "")
        self._diary = diary

    def press(self, key: str) -> str | None:
        """What was done, as a sentence; None where there is no such button."""
        if key not in self._acts:
            return None
        is_first = self._locks[key].acquire(blocking=False)
        if not is_first:
            with self._locks[key]:
                return self._said[key]
        try:
            self._said[key] = self.act(self._acts[key])
        finally:
            self._locks[key].release()
        return self._said[key]

    def act(self, act: Callable[[], str]) -> str:
        try:
            said = act()
        except (*AWAY, CannotStart) as error:
            said = f"That did not work: {' '.join(str(error).split())}"
        self._diary.note(Kind.DONE, said)
        return said
