"""The HTTP side of the page. It is for the person at this machine, and for nobody else."""

import json
import socketserver
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from config.local.break_it.break_page import BreakPage

ASSETS = Path(__file__).resolve().parent / "assets"
FILES = {
    "/break-it.css": "text/css; charset=utf-8",
    "/break-it.js": "text/javascript; charset=utf-8",
}

ONLY_HOST = "127.0.0.1"
MAX_BODY_BYTES = 1000
SHOPPERS = 100

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src data:",  # an icon without content, which spares a request
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # With "no-referrer" a browser would send a form with the origin "null".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class NotThisMachine(ValueError):
    """The page kills processes, so it listens on 127.0.0.1 alone."""


class BreakServer:
    """Listens from its construction on, and answers between `start` and `stop`."""

    def __init__(self, page: BreakPage, *, port: int, host: str = ONLY_HOST) -> None:
        if host != ONLY_HOST:
            raise NotThisMachine(f"This page listens on {ONLY_HOST} alone, not on {host}.")
        self._http = _Server((host, port), page)
        self.port = int(self._http.server_address[1])
        self.url = f"http://{host}:{self.port}/"
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=[0.1], name="break page", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], page: BreakPage) -> None:
        self.page = page
        super().__init__(address, _Handler)
        port = self.server_address[1]
        self.hosts = {f"{name}:{port}" for name in (ONLY_HOST, "localhost")}

    def server_bind(self) -> None:
        # The standard library would look the host up in the DNS, which may take seconds.
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A browser that has left the page before it was answered is no news.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 30

    def do_GET(self) -> None:
        if not self._is_for_us():
            return
        url = urlsplit(self.path)
        purchase = dict(parse_qsl(url.query)).get("purchase", "")
        if url.path == "/":
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", self.server.page.html(purchase))
        elif url.path == "/parts":
            self._send_json(self.server.page.parts(purchase))
        elif url.path in FILES:
            self._send(HTTPStatus.OK, FILES[url.path], (ASSETS / url.path[1:]).read_text())
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such page.")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is too much.")
            return
        form = dict(parse_qsl(self.rfile.read(int(length)).decode("utf-8", "replace")))
        if not (self._is_for_us() and self._is_from_us()):
            return
        said = self._done(form)
        if said is None:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such button.")
        elif self.headers.get("Accept") == "application/json":
            self._send_json({"said": said})
        else:
            self._send(HTTPStatus.SEE_OTHER, "text/plain", "", {"Location": "/"})

    def _done(self, form: dict[str, str]) -> str | None:
        page = self.server.page
        match self.path.strip("/").split("/"):
            case ["press", key]:
                return page.press(key)
            case ["workflow", key]:
                return page.choose(key)
            case ["shoppers"]:
                count = form.get("count", "")
                is_number = count.isascii() and count.isdecimal() and len(count) < 6
                return page.send_shoppers(int(count) if is_number else SHOPPERS)
        return None

    def _is_for_us(self) -> bool:
        """A page from elsewhere may give its own name this machine's address (DNS rebinding)."""
        if self.headers.get("Host") in self.server.hosts:
            return True
        self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "This page has another name.")
        return False

    def _is_from_us(self) -> bool:
        """A form of another page could press buttons here. Browsers say where a form is from."""
        if self.headers.get("Origin") in {f"http://{host}" for host in self.server.hosts}:
            return True
        self._refuse(HTTPStatus.FORBIDDEN, "Only a form of this page may press a button.")
        return False

    def _refuse(self, status: HTTPStatus, words: str) -> None:
        self._send(status, "text/plain; charset=utf-8", words)

    def _send_json(self, content: dict[str, str]) -> None:
        self._send(HTTPStatus.OK, "application/json", json.dumps(content))

    def _send(
        self, status: HTTPStatus, kind: str, text: str, more: dict[str, str] | None = None
    ) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in {**HEADERS, **(more or {}), "Content-Type": kind}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """A page that looks each second is no news."""
