"""The pages of docs/runbook.md, with the commands in them."""

import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from subprocess import CompletedProcess

from tests.support.processes import ROOT, ShopProcesses, run

RUNBOOK = ROOT / "docs" / "runbook.md"

# What every page answers, in this order.
QUESTIONS = ["What it means", "What the shopper sees", "Look", "Fix", "Fixed when"]


@dataclass(frozen=True)
class Page:
    title: str
    text: str

    @property
    def anchor(self) -> str:
        """As GitHub makes it."""
        return re.sub(r"[^\w\- ]", "", self.title.lower()).replace(" ", "-")

    @property
    def alerts(self) -> list[str]:
        [line] = re.findall(r"^Alerts?: (.*)\.$", self.text, re.MULTILINE)
        return re.findall(r"`(\w+)`", line)

    def part(self, question: str) -> str:
        _, _, rest = self.text.partition(f"**{question}.**")
        return re.split(r"^\*\*", rest, maxsplit=1, flags=re.MULTILINE)[0]

    def commands(self, question: str) -> list[list[list[str]]]:
        """Of manage.py, with their arguments, by the part's blocks of code."""
        blocks = re.findall(r"^```\n(.*?)^```$", self.part(question), re.MULTILINE | re.DOTALL)
        return [[shlex.split(line)[1:] for line in block.splitlines()] for block in blocks]


def pages() -> list[Page]:
    _, *parts = re.split(r"^## ", RUNBOOK.read_text(), flags=re.MULTILINE)
    return [Page(*part.split("\n", 1)) for part in parts]


def page(title: str) -> Page:
    [found] = [page for page in pages() if page.title == title]
    return found


# These ask on a terminal. The runbook says what to do where there is none, as in tests.
ASKING = {"requeue_orders", "resume_payments", "redrive", "discard", "--repair", "after_restore"}

# Tests have messages come again within seconds, which a check of the commands would refuse.
AS_IN_PRODUCTION = {"MESSAGE_VISIBILITY_SECONDS": "25", "PAYMENT_LEASE_SECONDS": "20"}


@dataclass
class OnDuty:
    """Somebody with the runbook open who runs what it says, each command as a process, word for
    word but for the placeholders."""

    page: Page
    processes: ShopProcesses
    placeholders: dict[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def does(
        self, question: str, *, block: int | None = None, exit_codes: tuple[int, ...] = ()
    ) -> str:
        """Everything that the commands of this part, or of one of its blocks, have said. They end
        with 0, unless told."""
        blocks = self.page.commands(question)
        commands = [each for b in (blocks if block is None else [blocks[block]]) for each in b]
        ran = [self._run(command) for command in commands]
        said = "\n".join(run.stdout + run.stderr for run in ran)
        codes = tuple(run.returncode for run in ran)
        assert codes == (exit_codes or (0,) * len(ran)), f"{commands}: {codes}\n{said}"
        return said

    def _run(self, command: list[str]) -> CompletedProcess[str]:
        words = [self.placeholders.get(word, word) for word in command]
        words += ["--yes"] if ASKING & set(words) else []
        return run(
            [sys.executable, "manage.py", *words],
            {**self.processes.environment, **AS_IN_PRODUCTION, **self.environment},
        )
