"""One POST to somebody else's server, which may be slow, gone or ill-meaning.

It uses no proxy and no password of the environment, follows no redirect and keeps no connection.
"""

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

# The limit for everything together, from the connection to the last byte that is read.
DEADLINE_SECONDS = 15.0

# The limits for the connection, and for each wait for an answer.
CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0

# Nobody looks at the body of the answer. So much is read, so that a polite server may finish.
READ_AT_MOST = 64 * 1024

# Where Amazon's machines tell their credentials, beside the link-local address (EC2 User Guide,
# "Use the Instance Metadata Service").
METADATA_V6 = ip_address("fd00:ec2::254")


class AddressForbidden(Exception):
    """Link-local: there are no other systems there, and the credentials of a cloud's machine."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int | None = None
    error: str = ""  # the class of what went wrong; its words may quote the address
    took_ms: int = 0

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def post(url: str, *, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send the request. Never raises for what the other side does."""
    began = time.monotonic()
    status, error = None, ""
    wire = _Wire()
    with requests.Session() as session, wire.cut_after(DEADLINE_SECONDS):
        session.trust_env = False
        session.mount("http://", _Adapter(wire))
        session.mount("https://", _Adapter(wire))
        try:
            answer = session.post(
                url,
                data=body,
                headers={**headers, "Connection": "close"},
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                stream=True,
            )
            if wire.was_cut:  # in the middle of the headers, which http.client takes for their end
                raise requests.Timeout
            status = answer.status_code
            with suppress(OSError, HTTPError):  # the status is known
                answer.raw.read(READ_AT_MOST)
        except (requests.RequestException, HTTPError, OSError, ValueError, AddressForbidden) as why:
            error = "DeadlinePassed" if wire.was_cut else type(why).__name__
    return Answer(status=status, error=error, took_ms=int((time.monotonic() - began) * 1000))


def is_forbidden(address: str) -> bool:
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    return ip.is_link_local or ip == METADATA_V6


class _Wire:
    """The connection of one request, which a deadline cuts. Time-outs are for each wait alone: a
    server that sends a byte now and then would never meet one."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.was_cut = False

    def take(self, connected: socket.socket) -> None:
        # The address that was reached counts: a name may lead elsewhere since it was added.
        if is_forbidden(connected.getpeername()[0]):
            raise AddressForbidden
        self._socket = connected
        if self.was_cut:
            self._cut()

    @contextmanager
    def cut_after(self, seconds: float) -> Iterator[None]:
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        self.was_cut = True
        if self._socket is not None:
            with suppress(OSError):
                # Not TLS's own, which another thread is reading from.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Adapter(HTTPAdapter):
    def __init__(self, wire: _Wire) -> None:
        self._wire = wire
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        wire, plain = self._wire, pool.ConnectionCls

        class Watched(plain):  # type: ignore[misc, valid-type] # HTTP's or HTTPS's
            def connect(self) -> None:
                super().connect()
                wire.take(self.sock)

        pool.ConnectionCls = Watched
        return pool
