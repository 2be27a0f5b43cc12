"""How many statements and commits the server has logged, by whichever program they were asked for.

A commit is one that has to reach the disk: the COMMIT of a transaction that wrote something, or a
statement that writes and stands alone. What only reads, locks rows or sets something is none. A
statement counts as writing even where it finds no row to write.
"""

import re
from dataclasses import dataclass, field
from typing import Self

from tests.tools.bench.statements import COMMENT, STATEMENT, entries

TEXT = re.compile(r"'(?:[^']|'')*'")
REST_OF_LINE = re.compile(r"--.*")
LOCK = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b")

# What a statement that writes begins with. What begins with WITH writes if one of these is in it.
WRITE = re.compile(r"(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO)\b")
WRITE_WITHIN = re.compile(rf"\bWITH\b.*\b{WRITE.pattern}", re.DOTALL)

BEGIN = re.compile(r"BEGIN\b|START\s+TRANSACTION\b")
COMMIT = re.compile(r"(?:COMMIT|END)\b")
ROLLBACK_TO_SAVEPOINT = re.compile(r"ROLLBACK\s+(?:WORK\s+|TRANSACTION\s+)?TO\b")
ROLLBACK = re.compile(r"(?:ROLLBACK|ABORT)\b")


@dataclass(frozen=True)
class Logged:
    """The server has done so many, or so many for an order or in a second."""

    statements: float
    commits: float

    @classmethod
    def of(cls, log: str) -> Self:
        """All that programs with a name have asked for. The bench itself has none."""
        connections: dict[str, Connection] = {}
        statements = 0
        for program, pid, kind, text in entries(log):
            connection = connections.setdefault(pid, Connection())
            if not program:
                continue
            if kind == "ERROR":
                connection.failed()
            elif kind == "LOG" and (statement := STATEMENT.match(text)):
                statements += 1
                connection.said(statement[1])
        return cls(statements, sum(connection.commits for connection in connections.values()))

    def divided_by(self, number: float) -> Self:
        return type(self)(self.statements / number, self.commits / number)

    def without(self, others: "Logged", times: float) -> Self:
        """Never less than nothing: what was polled meanwhile is an estimate."""
        return type(self)(
            max(0.0, self.statements - others.statements * times),
            max(0.0, self.commits - others.commits * times),
        )


NOTHING = Logged(0, 0)


@dataclass
class Connection:
    """What is known of one connection after each statement that it has logged."""

    commits: int = 0
    is_in_transaction: bool = False
    has_written: bool = field(default=False, init=False)  # in this transaction, or alone just now
    has_failed: bool = field(default=False, init=False)  # and can only be rolled back

    def said(self, statement: str) -> None:
        sql = _plain(statement)
        if not self.is_in_transaction:
            self.is_in_transaction = BEGIN.match(sql) is not None
            self.has_written, self.has_failed = _writes(sql), False
            self.commits += self.has_written
        elif COMMIT.match(sql):
            self.commits += self.has_written and not self.has_failed
            self._ended()
        elif ROLLBACK_TO_SAVEPOINT.match(sql):
            self.has_failed = False
        elif ROLLBACK.match(sql):
            self._ended()
        else:
            self.has_written |= _writes(sql)

    def failed(self) -> None:
        """The statement before has failed."""
        if self.is_in_transaction:
            self.has_failed = True
        elif self.has_written:
            self.commits -= 1
            self.has_written = False

    def _ended(self) -> None:
        self.is_in_transaction = self.has_written = False


def _plain(statement: str) -> str:
    """Without comments and texts, which may say anything, and without locks."""
    code = REST_OF_LINE.sub("", TEXT.sub("''", COMMENT.sub("", statement)))
    return LOCK.sub("", code.upper()).strip()


def _writes(sql: str) -> bool:
    return bool(WRITE.match(sql) or WRITE_WITHIN.match(sql))
