"""Sends prepared requests as fast as answers come: `python -m tests.tools.bench.load FILE …`.

A process of its own and one loop over raw sockets, so that it takes little of the machine from the
server. Every connection is kept open and has one request under way. The requests are in a pickled
list; what came of each goes to standard output as JSON.
"""

import argparse
import json
import pickle
import selectors
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# A request that takes longer is a failure of the benchmark.
TIMEOUT_SECONDS = 120.0

# gunicorn closes what is silent for two seconds (its setting `keepalive`).
IDLE_SECONDS = 1.5

READ_BYTES = 65536


@dataclass
class Connection:
    port: int
    request: int = -1  # which it has under way
    line: socket.socket | None = None
    sent_at: float = 0.0
    received: bytes = b""

    def send(self, request: int, content: bytes) -> None:
        self.request, self.received = request, b""
        if self.line and time.perf_counter() - self.sent_at > IDLE_SECONDS:
            self.close()
        self.sent_at = time.perf_counter()
        if not self.line:
            self.line = socket.create_connection(("127.0.0.1", self.port))
            self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.line.sendall(content)

    def close(self) -> None:
        if self.line:
            self.line.close()
            self.line = None

    def read(self) -> int:
        """What has come by now; the status, once the answer is whole."""
        assert self.line
        came = self.line.recv(READ_BYTES)
        if not came:
            raise ConnectionResetError("The server closed a connection without an answer")
        self.received += came
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return 0
        return int(head[9:12]) if len(body) >= int(_header(head, b"content-length")) else 0

    @property
    def is_over(self) -> bool:
        """Whether the server closes the connection after its answer."""
        head, _, _ = self.received.partition(b"\r\n\r\n")
        return head.startswith(b"HTTP/1.0") or _header(head, b"connection") == b"close"


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == name:
            return value.strip().lower()
    return b""


class Load:
    """What came of each request, in the order in which they were given."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self._requests = requests
        self.seconds = [0.0] * len(requests)
        self.answered_at = [0.0] * len(requests)
        self.statuses: Counter[int] = Counter()

    def run(self, connections: Sequence[Connection], a_second: float = 0) -> float:
        """How long it took. With `a_second` requests leave at that pace, as people press."""
        selector = selectors.DefaultSelector()
        began = time.perf_counter()
        free = deque(connections)
        sent = 0
        while sent < len(self._requests) or len(free) < len(connections):
            pause = 0.0
            while free and sent < len(self._requests):
                pause = began + sent / a_second - time.perf_counter() if a_second else 0.0
                if pause > 0:
                    break
                connection = free.popleft()
                connection.send(sent, self._requests[sent])
                assert connection.line
                selector.register(connection.line, selectors.EVENT_READ, connection)
                sent += 1
            for key, _ in selector.select(pause if pause > 0 else TIMEOUT_SECONDS):
                self._read(key.data, selector, free)
        return time.perf_counter() - began

    def _read(
        self,
        connection: Connection,
        selector: selectors.BaseSelector,
        free: deque[Connection],
    ) -> None:
        if status := connection.read():
            self.seconds[connection.request] = time.perf_counter() - connection.sent_at
            self.answered_at[connection.request] = time.time()
            self.statuses[status] += 1
            assert connection.line
            selector.unregister(connection.line)
            if connection.is_over:
                connection.close()
            free.append(connection)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.bench.load", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--ports", type=int, nargs="+", required=True)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--a-second", type=float, default=0)
    options = parser.parse_args()
    load = Load(pickle.loads(options.file.read_bytes()))
    ports = [options.ports[n % len(options.ports)] for n in range(options.connections)]
    took = load.run([Connection(port) for port in ports], options.a_second)
    json.dump(
        {
            "took": took,
            "seconds": load.seconds,
            "answered_at": load.answered_at,
            "statuses": load.statuses,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
