"""A small HTTP server for the designs, and how their processes start and stop."""

import argparse
import signal
import socketserver
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from config.local.designs.base import find_order

# SIGTERM lets what is in hand come to its end, as gunicorn does, but not for longer than this.
GRACE_SECONDS = 3.0

stopping = threading.Event()


@dataclass(frozen=True)
class Reply:
    status: int
    text: str = ""
    location: str = ""


# What a POST to a path is answered with, given its body.
Routes = Mapping[str, Callable[[str], Reply]]


def order_page(number: str) -> Reply:
    return Reply(303, location=f"/orders/{number}/")


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # a drill connects all at once

    def __init__(self, port: int, routes: Routes) -> None:
        self.routes = routes
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        # The standard library would look the host up in the DNS, which may take seconds.
        socketserver.TCPServer.server_bind(self)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._answer(lambda: Reply(200, "ready") if self.path == "/readyz" else self._order())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        route = self.server.routes.get(self.path)
        self._answer(lambda: route(body) if route else Reply(404))

    def _order(self) -> Reply:
        order = find_order(self.path.removeprefix("/orders/").strip("/"))
        return Reply(200, order.status) if order else Reply(404)

    def _answer(self, answer: Callable[[], Reply]) -> None:
        try:
            reply = answer()
        except Exception:
            # Any web framework writes the trace to its log, and apologises to the client.
            traceback.print_exc()
            reply = Reply(503, "Something went wrong, please try again.")
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        content = reply.text.encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        if reply.location:
            self.send_header("Location", reply.location)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Thousands of requests, of which none is news."""


def serve(port: int, routes: Routes) -> None:
    """Until SIGTERM."""
    server = Server(port, routes)
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    wait_for_stop()
    server.shutdown()
    finish_what_is_in_hand()


def wait_for_stop() -> None:
    asked: list[int] = []
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda received, _frame: asked.append(received))
    # Not an Event that the handler sets: it may interrupt the very wait, which holds a lock.
    while not asked:
        time.sleep(0.05)
    stopping.set()


def finish_what_is_in_hand() -> None:
    """Threads that take longer end with the process, as all of them are daemons."""
    deadline = time.monotonic() + GRACE_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))


def main(roles: Mapping[str, Callable[[int], None]]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=list(roles))
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    roles[arguments.role](arguments.port)
