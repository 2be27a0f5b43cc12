"""Whether a long-running process makes progress, as a file, a row and a probe tell.

The loop that does the work calls `beat`. A process that hangs or is stopped does not call it.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import connection
from django.db.models.functions import Now

from checkout.orders.models import ProcessAlive
from checkout.orders.operations.cloudwatch import tell_of_process
from checkout.runtime import metrics
from checkout.runtime.database import DATABASE_ERRORS
from checkout.runtime.process_name import process_name
from checkout.user_input.whole_numbers import whole_argument

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

logger = logging.getLogger(__name__)

FILE_EVERY_SECONDS = 1.0
ROW_EVERY_SECONDS = 10.0

# Longer than the longest wait of a loop: all threads of a worker may be in calls of 60 s.
STALE_AFTER_SECONDS = 120.0


class Alive:
    """The liveness of one process. `kind` is publisher, worker, mailer or webhook_sender."""

    def __init__(
        self, kind: str, *, file: Path | None = None, on_beat: Callable[[], None] = lambda: None
    ) -> None:
        self.kind = kind
        self._file = file
        self._on_beat = on_beat
        self._name = process_name()
        self._beaten_at = time.monotonic()
        self._next_file = self._next_row = 0.0

    def beat(self) -> None:
        """Cheap enough for every turn of a loop. Never fails, so that the work goes on."""
        now = self._beaten_at = time.monotonic()
        if now >= self._next_file:
            self._next_file = now + FILE_EVERY_SECONDS
            metrics.ALIVE.labels(self.kind).set_to_current_time()
            tell_of_process(self.kind)
            self._on_beat()
            if self._file:
                touch(self._file)
        if now >= self._next_row:
            self._next_row = now + ROW_EVERY_SECONDS
            self._write_row()

    def is_fresh(self) -> bool:
        return time.monotonic() - self._beaten_at < STALE_AFTER_SECONDS

    def _write_row(self) -> None:
        try:
            row = ProcessAlive(name=self._name, kind=self.kind, seen_at=Now())
            ProcessAlive.objects.bulk_create(
                [row],
                update_conflicts=True,
                unique_fields=["name", "kind"],
                update_fields=["seen_at"],
            )
        except DATABASE_ERRORS:  # the loop will notice this itself, and log it
            connection.close()


def touch(file: Path) -> None:
    try:
        file.touch()
    except OSError as error:
        logger.warning("The alive file was not written", extra={"error": type(error).__name__})


def add_liveness_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "--alive-file",
        type=Path,
        metavar="PATH",
        help="Touch this file every second while the process makes progress; see check_worker.",
    )
    parser.add_argument(
        "--metrics-port",
        type=whole_argument(most=65_535),
        default=settings.METRICS_PORT,
        metavar="N",
        help="Serve /metrics and /healthz on this port (default: METRICS_PORT, or not at all).",
    )


def start_reporting(kind: str, options: Mapping[str, Any]) -> Alive:
    """Report on this process until it ends, as the arguments above ask for."""
    alive = Alive(kind, file=options["alive_file"])
    if port := options["metrics_port"]:
        server = metrics_server(alive.is_fresh, port)
        threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return alive


def file_problem(path: Path, *, older_than_seconds: float) -> str:
    """Return why the process of this file is not alive; empty when it is."""
    try:
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return f"{path} is not there. The process has not begun, or has no --alive-file."
    if age > older_than_seconds:
        return f"{path} is {age:.0f} s old. The process has made no progress since."
    return ""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


def metrics_server(is_fresh: Callable[[], bool], port: int) -> WSGIServer:
    """A server that listens at once. Raises CommandError when the port is taken."""

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                status, body = "200 OK", metrics.exposition()
            case "/healthz" if is_fresh():
                status, body = "200 OK", b"ok\n"
            case "/healthz":
                status, body = "503 Service Unavailable", b"no progress\n"
            case _:
                status, body = "404 Not Found", b""
        start_response(status, [("Content-Type", metrics.CONTENT_TYPE)])
        return [body]

    try:
        return make_server("", port, answer, server_class=_Server, handler_class=_Quiet)
    except OSError as error:
        raise CommandError(f"--metrics-port {port}: {error.strerror}.") from error
