"""Another system of the shop, which keeps what it is told and fails as such systems do."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any

from config.local.processes import free_port

# After so long a slow one answers all the same, unless it is stopped before.
PATIENCE_SECONDS = 20.0

CHUNK = 1 << 16


@dataclass(frozen=True)
class Received:
    body: bytes
    headers: dict[str, str]  # names in small letters

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told


class Receiver:
    """`answer` is the status it gives; `hangs` makes it say nothing for long, `drips` a byte now
    and then."""

    def __init__(self) -> None:
        self.port = free_port()
        self.received: list[Received] = []
        self.answer = 204
        self.answer_headers: dict[str, str] = {}
        self.answer_bytes = 0  # a multiple of CHUNK
        self.written = 0
        self.hangs = self.drips = False
        self._server: ThreadingHTTPServer | None = None
        self._stopped = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    def start(self) -> None:
        self._stopped.clear()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._take(self)

            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Refuses connections, until it is started again."""
        self._stopped.set()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers["Content-Length"])
        body = request.rfile.read(length)
        if len(body) < length:
            return  # its sender died in the middle
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(body, headers))
        with suppress(OSError):
            if self.hangs:
                self._stopped.wait(PATIENCE_SECONDS)
            elif self.drips:
                self._drip(request.connection)
            else:
                request.send_response(self.answer)
                for name, value in self.answer_headers.items():
                    request.send_header(name, value)
                request.send_header("Content-Length", str(self.answer_bytes))
                request.end_headers()
                self._write(request.wfile, self.answer_bytes)

    def _write(self, wire: BufferedIOBase, count: int) -> None:
        for _ in range(0, count, CHUNK):
            wire.write(b"x" * CHUNK)
            self.written += CHUNK

    def _drip(self, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        until = time.monotonic() + PATIENCE_SECONDS
        while not self._stopped.is_set() and time.monotonic() < until:
            connection.sendall(b"x")
            time.sleep(0.05)
        connection.sendall(b"\r\n\r\n")


@contextmanager
def webhook_receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()
