"""A wire between the shop and Postgres that can be cut at the worst moment.

It reads what the client sends just closely enough to know when an order is about to be committed:
by the COMMIT of a transaction that placed one, which psycopg sends as a simple query of its own, or
by a placing statement that is a transaction by itself (PostgreSQL docs, "Message Formats").
"""

import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
# Django places row by row, and its transaction ends with COMMIT.
ROW_BY_ROW = b'INSERT INTO "orders_order" '
# The shop mostly places by one statement, and other workflows do so too: Postgres commits unasked.
BY_ONE_STATEMENT = (b"INSERT INTO orders_order ", b"INSERT INTO design_order ")
# A statement that was sent five times is prepared, and from then on only its name is sent.
PREPARED = re.compile(rb"P.{4}(_pg3_\d+)\0([^\0]*)\0", re.DOTALL)
# A message with parameters ends with Sync, and one without them with the zero after its text.
ENDS = (b"S\x00\x00\x00\x04", b"\x00")


class Cut(Enum):
    """What happens, once, when the next order is about to be committed."""

    BEFORE_COMMIT = "both ends are closed, what commits never arrives"
    AFTER_COMMIT = "what commits arrives and is carried out, its reply is lost"
    HALF_OPEN = "the client is cut off; the server hears nothing and waits on, with what it has"


# A placing statement with its parameters is shorter than this.
SAID_BYTES = 64 * 1024


@dataclass(frozen=True)
class MadeCut:
    at: float  # seconds since 1970
    said: bytes  # the statement that placed the order, and what followed


class PostgresProxy:
    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._cuts: list[Cut] = []
        self._held: list[socket.socket] = []
        self._sockets: list[socket.socket] = []
        self.cuts: list[MadeCut] = []  # that were made
        self.port: int = self._listener.getsockname()[1]
        _in_background(self._accept)

    def cut_next(self, *cuts: Cut) -> None:
        with self._lock:
            self._cuts = list(cuts)

    @property
    def cuts_made(self) -> int:
        return len(self.cuts)

    def close(self) -> None:
        self._listener.close()
        for each in [*self._sockets, *self._held]:
            _close(each)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:  # it is being restarted, which the client is to notice
                _close(client)
                continue
            self._sockets = [each for each in self._sockets if each.fileno() >= 0]
            self._sockets += [client, server]
            muted = threading.Event()
            back = _in_background(partial(_copy, server, client, muted))
            _in_background(partial(self._watch, client, server, muted, back))

    def _watch(
        self,
        client: socket.socket,
        server: socket.socket,
        muted: threading.Event,
        back: threading.Thread,
    ) -> None:
        """Client to server, looking for the moment."""
        moment = Moment()
        while data := _receive(client):
            if moment.has_come(data):
                match self._next_cut(moment.said):
                    case Cut.BEFORE_COMMIT:
                        break
                    case Cut.AFTER_COMMIT:
                        muted.set()
                        _send(server, data)
                        server.shutdown(socket.SHUT_WR)
                        back.join()  # ends when the server has carried it out and said goodbye
                        break
                    case Cut.HALF_OPEN:
                        self._held.append(server)
                        _close(client)
                        return
            if not _send(server, data):
                break
        _close(client)
        _close(server)

    def _next_cut(self, said: bytes) -> Cut | None:
        with self._lock:
            if not self._cuts:
                return None
            self.cuts.append(MadeCut(time.time(), said))
            return self._cuts.pop(0)


class Moment:
    """What one connection has said, until an order is about to be committed over it."""

    def __init__(self) -> None:
        self._row_by_row = [ROW_BY_ROW]
        self._by_one_statement = [*BY_ONE_STATEMENT]
        self._is_placing = self._is_placing_at_once = False
        self.said = b""  # since a statement that places an order, with it

    def has_come(self, data: bytes) -> bool:
        for name, statement in PREPARED.findall(data):
            for texts in (self._row_by_row, self._by_one_statement):
                if any(text in statement for text in texts):
                    texts.append(b"\0%b\0" % name)
        self.said = (self.said if self._is_placing or self._is_placing_at_once else b"") + data
        self.said = self.said[-SAID_BYTES:]
        self._is_placing |= any(text in data for text in self._row_by_row)
        self._is_placing_at_once |= any(text in data for text in self._by_one_statement)
        commits = self._is_placing and COMMIT in data
        commits |= self._is_placing_at_once and data.endswith(ENDS)
        if commits:
            self._is_placing = self._is_placing_at_once = False
        return commits


def _in_background(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def _copy(source: socket.socket, target: socket.socket, muted: threading.Event) -> None:
    while data := _receive(source):
        if not muted.is_set() and not _send(target, data):
            break
    _close(target)


def _receive(source: socket.socket) -> bytes:
    try:
        return source.recv(65536)
    except OSError:
        return b""


def _send(target: socket.socket, data: bytes) -> bool:
    try:
        target.sendall(data)
    except OSError:
        return False
    return True


def _close(each: socket.socket) -> None:
    with suppress(OSError):  # closed by the other end already
        each.shutdown(socket.SHUT_RDWR)
    each.close()
