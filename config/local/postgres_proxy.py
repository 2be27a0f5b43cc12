"""A wire between the shop and Postgres that can be cut at the worst moment.

It reads what the client sends just closely enough to know the COMMIT of a placing transaction:
psycopg sends it as a simple query of its own (PostgreSQL docs, "Message Formats").
"""

import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from functools import partial

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
# Django places row by row, and the shop mostly by one statement.
PLACING = (b'INSERT INTO "orders_order"', b"INSERT INTO orders_order ")
# A statement that was sent five times is prepared, and from then on only its name is sent.
PREPARED = re.compile(rb'P.{4}(_pg3_\d+)\0[^\0]*INSERT INTO "?orders_order"? ', re.DOTALL)
# Another workflow's statement, which is a transaction by itself: Postgres commits it unasked.
COMMITS_ITSELF = b"INSERT INTO design_order "


class Cut(Enum):
    """What happens, once, when the next placing transaction is about to be committed."""

    BEFORE_COMMIT = "both ends are closed, COMMIT never arrives"
    AFTER_COMMIT = "COMMIT arrives and is carried out, its reply is lost"
    HALF_OPEN = "the client is cut off; the server hears nothing and waits on, holding the row"


class PostgresProxy:
    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._cuts: list[Cut] = []
        self._held: list[socket.socket] = []
        self._sockets: list[socket.socket] = []
        self.cuts_made = 0
        self.port: int = self._listener.getsockname()[1]
        _in_background(self._accept)

    def cut_next(self, *cuts: Cut) -> None:
        with self._lock:
            self._cuts = list(cuts)

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
        is_placing, names = False, set[bytes]()
        while data := _receive(client):
            names.update(PREPARED.findall(data))
            texts = [*PLACING, *(b"\0%b\0" % name for name in names)]
            is_placing = is_placing or any(text in data for text in texts)
            if (is_placing and COMMIT in data) or COMMITS_ITSELF in data:
                is_placing = False
                match self._next_cut():
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

    def _next_cut(self) -> Cut | None:
        with self._lock:
            if not self._cuts:
                return None
            self.cuts_made += 1
            return self._cuts.pop(0)


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
