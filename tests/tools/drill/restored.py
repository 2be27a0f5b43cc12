"""A backup is taken while people buy and everything goes wrong, and is restored when all is quiet.
Gateways, bank and queue keep what they know. Then `after_restore` is run as an operator runs it,
the shop's processes go on, and the gateways' records are held against what was promised."""

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg

from config.local.crowd.comparison import Promise
from config.local.crowd.records import Charge
from config.local.designs.stand_in import Addresses
from tests.support.copied_rows import Sequences, copy_rows, put_back
from tests.tools.drill.systems import MANAGE, ROOT, audit_of

SCHEMA = "backup_of_the_drill"

INVOICES = "SELECT number FROM orders_invoice ORDER BY id DESC"

# What is broken after a restore until people have seen to it.
FOR_PEOPLE = {
    "Each order that names this installation at the gateway is here",
    "No order waits for a person",
}


@dataclass
class Restored:
    """`go_on` starts the processes, and ends them when all is quiet: False where it is not."""

    at: Addresses
    charges: Callable[[], list[Charge]]  # of the gateways that tell a list
    transfers: Callable[[], list[Charge]]
    go_on: Callable[[], bool]
    taken_at: datetime | None = None
    sequences: Sequences = field(default_factory=dict)

    def take(self) -> bool:
        """False while Postgres is away."""
        try:
            with psycopg.connect(self.at.database, connect_timeout=5) as connection:
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                self.taken_at = datetime.now(UTC)
                self.sequences = copy_rows(connection.cursor(), SCHEMA)
        except psycopg.OperationalError:
            self.taken_at = None
        return self.taken_at is not None

    def promises(self) -> list[Promise]:
        if self.taken_at is None:
            return [Promise("A backup was taken", 1, ["none"])]
        numbers, before = self._numbers(), self.charges() + self.transfers()
        seen = [f"--last-invoice={self._last_invoice(series)}" for series in ("INV", "CN")]
        with psycopg.connect(self.at.database) as connection:
            put_back(connection.cursor(), SCHEMA, self.sequences)
        here = self._numbers()
        first = self._after_restore(*seen)
        second = self._after_restore()
        resumed = self._run("resume_payments", "--yes")
        is_quiet = self.go_on()
        changed = [] if second and not second["changed"] else ["the second run changed something"]
        return [
            Promise("The shop goes on after a restore", 1, [] if is_quiet else [resumed]),
            self._named(first, numbers, here),
            Promise("A second run of after_restore changes nothing", 1, changed),
            self._charged_once(before),
            self._audited(),
        ]

    def _named(self, report: dict[str, Any], numbers: set[str], here: set[str]) -> Promise:
        named = {lost["order"] for lost in report.get("lost", [])}
        charged = {charge.order for charge in self.charges()} & numbers
        lost = charged - here
        broken = [f"{number} was charged, is lost, and is not named" for number in lost - named]
        broken += [f"{number} is named as lost, and is not" for number in named - (numbers - here)]
        words = "Each charge without an order is named, and none of another's"
        return Promise(words, len(lost), broken)

    def _charged_once(self, before: Iterable[Charge]) -> Promise:
        had = Counter(charge.order for charge in before)
        has = Counter(charge.order for charge in self.charges() + self.transfers())
        broken = [
            f"{order} was charged {had[order]} times before and {count} times after"
            for order, count in has.items()
            if count > max(1, had[order])
        ]
        return Promise("Nothing is charged a second time after a restore", len(has), broken)

    def _audited(self) -> Promise:
        _, report = audit_of(self.at)
        checks: Any = report.get("checks", [])
        broken = [
            f"{check['promise']}: {row}"
            for check in checks
            if check["promise"] not in FOR_PEOPLE
            for row in check["rows"]
        ]
        broken += [] if checks else [str(report)]
        return Promise("The audit is clean but for what people decide", len(checks), broken)

    def _after_restore(self, *options: str) -> dict[str, Any]:
        assert self.taken_at
        since = f"--since={self.taken_at.isoformat()}"
        said = self._run("after_restore", since, "--yes", "--json", *options)
        try:
            report: dict[str, Any] = json.loads(said)
        except ValueError:
            return {"changed": True, "said": said}
        return report

    def _run(self, *command: str) -> str:
        ran = subprocess.run(
            [*MANAGE, *command],
            env=self.at.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return ran.stdout or ran.stderr[-500:]

    def _last_invoice(self, series: str) -> str:
        issued = [each for each in self._column(INVOICES) if each.startswith(f"{series}-")]
        return issued[0] if issued else f"{series}-{datetime.now(UTC).year}-000000"

    def _numbers(self) -> set[str]:
        return set(self._column("SELECT number FROM orders_order"))

    def _column(self, query: str) -> list[str]:
        with psycopg.connect(self.at.database) as connection:
            return [value for (value,) in connection.execute(query)]
