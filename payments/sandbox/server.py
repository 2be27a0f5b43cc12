"""The HTTP side of the sandbox reads requests, writes answers, and keeps silent where it must."""

import base64
import binascii
import json
import logging
import select
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from payments.sandbox.account import Account, Request
from payments.sandbox.bank import bank_page, way_back
from payments.sandbox.clock import Clock, MovableClock, utc_now
from payments.sandbox.faults import Faults, NetworkFault, step_of
from payments.sandbox.ledger import Ledger
from payments.sandbox.replies import (
    TOO_MANY,
    UNKNOWN_ERROR,
    Answer,
    Json,
    RefusalError,
    error_answer,
)
from payments.sandbox.webhooks import WebhookSender

logger = logging.getLogger(__name__)

# Far above any request of the subset spoken here.
MAX_BODY_BYTES = 64 * 1024

# The pages of 3-D Secure.
BANK = "/sandbox/bank/"

LATE_SECONDS = 1.0

# How often a held connection is looked at: is the client still there, is the server still on.
HOLD_POLL_SECONDS = 0.05


class StoppedError(Exception):
    """The server is being stopped: ends a request that is under way."""


class SandboxServer:
    """The server listens from its construction on, and answers between `start` and `stop`."""

    def __init__(
        self,
        *,
        ledger_path: Path,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock = utc_now,
        slow_seconds: float = 5.0,
        silent_seconds: float = 120.0,
        webhook_url: str = "",
        webhook_secret: str = "",
        faults: Faults | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.clock = MovableClock(clock)
        self.webhooks = WebhookSender(url=webhook_url, secret=webhook_secret, clock=self.clock)
        self.silent_seconds = silent_seconds
        self.stopping = threading.Event()
        self._ledger = Ledger(ledger_path)
        try:
            self.account = Account(
                ledger=self._ledger,
                clock=self.clock,
                pause=self._pause,
                slow_seconds=slow_seconds,
                notify=self.webhooks.notify,
            )
            self._http = HttpServer((host, port), self)
            self.account.url = self.url
        except BaseException:
            self._ledger.close()
            raise
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=[0.01], name="sandbox", daemon=True
        )

    @property
    def url(self) -> str:
        host, port = self._http.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> None:
        self._thread.start()
        self.webhooks.start()

    def stop(self) -> None:
        self.stopping.set()
        self.webhooks.stop()
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()
        self._http.drop_connections()
        self._ledger.close()

    def _pause(self, seconds: float) -> None:
        if self.stopping.wait(seconds):
            raise StoppedError


class HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # a load test connects all at once

    def __init__(
        self, address: tuple[str, int], sandbox: Any, handler: "type[Handler] | None" = None
    ) -> None:
        self.sandbox = sandbox
        self._connections: set[Any] = set()
        super().__init__(address, handler or Handler)

    def server_bind(self) -> None:
        # The standard library would look the host up in the DNS, which may take seconds.
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # What a stop cuts off, and a client that has gone away, are no news.
        if not self.sandbox.stopping.is_set() and not isinstance(sys.exception(), ConnectionError):
            logger.exception("The sandbox failed to answer.")

    def drop_connections(self) -> None:
        """Kept-alive connections would otherwise be answered by a server that has stopped."""
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # its own thread closed it first


class Handler(BaseHTTPRequestHandler):
    server: HttpServer
    protocol_version = "HTTP/1.1"
    # Head and body leave in one packet; otherwise each answer waits 40 ms for an acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            self._send(error_answer(413, "request_too_large", "The request is too large."))
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True  # its caller died in the middle, and has not called
            return
        self._serve(body)

    def _serve(self, body: bytes) -> None:
        url = urlsplit(self.path)
        if url.path.startswith(BANK):
            self._bank(url.path.removeprefix(BANK), body)
            return
        if url.path.startswith("/sandbox/"):
            answer = self._administer(url.path, body)
        elif not _authorized(self.headers.get("Authorization", "")):
            answer = _key_refused()
        else:
            form = body.decode("utf-8", "replace") if self.command == "POST" else url.query
            request = Request(
                method=self.command,
                path=url.path,
                params=dict(parse_qsl(form, keep_blank_values=True)),
                idempotency_key=self.headers.get("Idempotency-Key", ""),
            )
            answer = self._answer(request)
        self._reply(answer)

    def step_of(self, method: str, path: str) -> str:
        return step_of(method, path)

    def _answer(self, request: Any) -> Answer:
        sandbox = self.server.sandbox
        path = urlsplit(self.path).path
        fault = sandbox.faults.next_for(self.step_of(request.method, path), path)
        if latency := sandbox.faults.latency_seconds:
            sandbox.stopping.wait(latency)
        if fault is NetworkFault.TURNED_AWAY:
            return TOO_MANY
        if fault is NetworkFault.UNAUTHORIZED:
            return _key_refused()
        if fault is NetworkFault.UNAVAILABLE:
            return error_answer(503, "unavailable", "Try again later.", error_type="api_error")
        if fault is NetworkFault.LATE:
            sandbox.stopping.wait(LATE_SECONDS)
        answer: Answer = sandbox.account.answer(request)
        if fault is NetworkFault.ERROR:
            return UNKNOWN_ERROR
        return replace(
            answer,
            withheld=answer.withheld or fault is NetworkFault.SILENT,
            cut=fault is NetworkFault.RESET,
        )

    def _reply(self, answer: Answer) -> None:
        if answer.cut:
            self._cut()
        elif answer.withheld:
            self._hold()
        else:
            self._send(answer)

    def _cut(self) -> None:
        """Close with a reset instead of an end."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.close_connection = True

    def _bank(self, intent_id: str, body: bytes) -> None:
        """The customer's own bank asks them, as 3-D Secure does."""
        answer = dict(parse_qsl(body.decode("utf-8", "replace"))).get("answer", "")
        approved = {"approve": True, "refuse": False}.get(answer)
        try:
            intent = self.server.sandbox.account.authenticate(intent_id, approved=approved)
        except RefusalError as refused:
            self._send(refused.answer)
            return
        if self.command == "POST" and (address := way_back(intent)):
            self._write(303, {"Location": address}, b"")
        else:
            html = {"Content-Type": "text/html; charset=utf-8"}
            self._write(200, html, bank_page(intent).encode())

    def _administer(self, path: str, body: bytes) -> Answer:
        """Pages for demo and tests; Stripe has nothing like them."""
        sandbox = self.server.sandbox
        match self.command, path:
            case "GET", "/sandbox/ledger":
                account = sandbox.account
                ledger: Json = {
                    "charges": account.charges(),
                    "refunds": account.refunds(),
                    "disputes": account.disputes(),
                }
                return Answer(status=200, body=ledger)
            case "POST", "/sandbox/clock":
                message = 'Send {"advance_seconds": N}, N not below zero.'
                return _done(self._advance_clock, body, message)
            case "GET", "/sandbox/events":
                return Answer(status=200, body={"events": sandbox.webhooks.events()})
            case "GET", "/sandbox/faults":
                return Answer(status=200, body=sandbox.faults.told())
            case "POST", "/sandbox/faults":
                message = 'Send {"next": "confirm:reset"} or {"outage": true}.'
                return _done(self._script_faults, body, message)
            case "POST", "/sandbox/webhooks":
                message = 'Send {"hold": true}, {"duplicate": true} or {"release": SEED}.'
                return _done(self._mix_webhooks, body, message)
            case "POST", "/sandbox/refunds":
                message = 'Send {"refund": "re_1", "status": "failed"}.'
                return _done(self._move_refund, body, message)
            case "POST", "/sandbox/debits":
                message = 'Send {"payment_intent": "pi_1", "money_came": true}.'
                return _done(self._end_debit, body, message)
            case "POST", "/sandbox/disputes":
                return _done(self._open_dispute, body, 'Send {"payment_intent": "pi_1"}.')
        return error_answer(404, "url_unknown", "No such sandbox address.")

    def _advance_clock(self, wish: Json) -> Json:
        seconds = wish["advance_seconds"]
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
            raise ValueError
        self.server.sandbox.clock.advance(float(seconds))
        return {"now": self.server.sandbox.clock().isoformat()}

    def _move_refund(self, wish: Json) -> Json:
        """`{"refund": "re_1", "status": "failed"}`: the customer's bank did not take it."""
        account: Account = self.server.sandbox.account
        return account.move_refund(str(wish["refund"]), wish["status"])

    def _end_debit(self, wish: Json) -> Json:
        """`{"payment_intent": "pi_1", "money_came": false}`: the bank did not send the money."""
        account: Account = self.server.sandbox.account
        return account.end_debit(str(wish["payment_intent"]), money_came=bool(wish["money_came"]))

    def _open_dispute(self, wish: Json) -> Json:
        """`{"payment_intent": "pi_1"}`; if need be with "amount", "reason" and "is_inquiry"."""
        intent_id = str(wish.pop("payment_intent"))
        account: Account = self.server.sandbox.account
        return account.dispute(intent_id, **wish)

    def _script_faults(self, wish: Json) -> Json:
        """`{"next": "confirm:reset,open:429"}` for the next calls, `{"outage": true}` for all,
        `{"key_refused": true}` and `{"latency_seconds": 0.2}` for all as well. `{"likelier":
        ["429"]}` makes these come more often than their chance says, `{"calm": true}` ends the
        faults."""
        faults = self.server.sandbox.faults
        if wish.get("calm"):
            faults.calm()
        if "likelier" in wish:
            faults.likelier = frozenset(NetworkFault(fault) for fault in wish["likelier"])
        faults.script(str(wish.get("next", "")))
        faults.outage = bool(wish.get("outage", faults.outage))
        faults.is_key_refused = bool(wish.get("key_refused", faults.is_key_refused))
        faults.latency_seconds = float(wish.get("latency_seconds", faults.latency_seconds))
        return {"outage": faults.outage}

    def _mix_webhooks(self, wish: Json) -> Json:
        """`{"hold": true}` keeps events back, `{"duplicate": true}` sends each twice,
        `{"release": 7}` sends all of them (again), or the `latest` so many, shuffled by that seed.
        """
        webhooks = self.server.sandbox.webhooks
        webhooks.hold = bool(wish.get("hold", webhooks.hold))
        webhooks.duplicate = bool(wish.get("duplicate", webhooks.duplicate))
        sent = 0
        if "release" in wish:
            latest = int(wish["latest"]) if "latest" in wish else None
            sent = webhooks.release(int(wish["release"]), latest=latest)
        return {"sent": sent}

    def _send(self, answer: Answer) -> None:
        headers = {"Content-Type": "application/json", **answer.headers}
        self._write(answer.status, headers, json.dumps(answer.body).encode())

    def _write(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _hold(self) -> None:
        """Say nothing until the client has had enough."""
        self.close_connection = True
        sandbox = self.server.sandbox
        for _ in range(round(sandbox.silent_seconds / HOLD_POLL_SECONDS)):
            if self._client_is_gone() or sandbox.stopping.wait(HOLD_POLL_SECONDS):
                return

    def _client_is_gone(self) -> bool:
        watched = select.poll()  # `select` knows no connection after the thousandth
        watched.register(self.connection, select.POLLIN)
        return bool(watched.poll(0)) and self.connection.recv(1, socket.MSG_PEEK) == b""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        logger.debug("Sandbox request.", extra={"method": self.command, "path": self.path})


def _done(act: Callable[[Json], Json], body: bytes, how_to_ask: str) -> Answer:
    """Answers a wish of a demo or test, which is a JSON object."""
    try:
        return Answer(status=200, body=act(json.loads(body)))
    except RefusalError as refused:
        return refused.answer
    except (ValueError, TypeError, KeyError, AttributeError):
        return error_answer(400, "parameter_missing", how_to_ask)


def _key_refused() -> Answer:
    return error_answer(401, "api_key_invalid", "Invalid API Key provided.")


def _authorized(header: str) -> bool:
    """The key comes as Bearer token or as Basic user name. Stripe API reference, Authentication."""
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() == "basic":
        try:
            credentials = base64.b64decode(credentials, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return credentials.startswith("sk_test_")
