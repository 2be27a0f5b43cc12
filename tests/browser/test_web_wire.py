"""The wire between browser and shop tells a press that the shop heard from one that was lost."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.doubles.web_wire import PRESS, Trouble, WebWire
from tests.support.processes import eventually

SENT = PRESS + b"\r\nHost: shop\r\nContent-Length: 0\r\n\r\n"
ANSWER = b"HTTP/1.1 303 See Other\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def forgetful_shop() -> Iterator[int]:
    """The port of a server that ends its first connection without an answer, as one does whose
    keep-alive is over, and answers all others."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        is_first = True
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                if not is_first:
                    connection.sendall(ANSWER)
            is_first = False

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def wire(forgetful_shop: int) -> Iterator[WebWire]:
    wire = WebWire(forgetful_shop)
    yield wire
    wire.close()


def press(wire: WebWire) -> bytes:
    port = int(wire.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as browser:
        browser.sendall(SENT)
        try:
            return browser.recv(65536)
        except ConnectionResetError:
            return b""


def test_press_that_the_shop_has_not_heard_uses_no_trouble_up(wire: WebWire) -> None:
    wire.fail_next(Trouble.CUT_ANSWER)

    assert press(wire) == b""
    assert wire.presses == 0

    assert press(wire) == b""  # this one is heard, and its answer is lost
    assert press(wire) == ANSWER
    assert wire.presses == 2


@pytest.fixture
def slow_shop() -> Iterator[tuple[int, threading.Event, threading.Event]]:
    """The port of a server that hears a press and never answers it, the event that it has heard,
    and the event that its connection has ended."""
    listener = socket.create_server(("127.0.0.1", 0))
    heard, ended = threading.Event(), threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            heard.set()
            connection.recv(65536)
        ended.set()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], heard, ended
    listener.close()


def test_press_that_the_browser_gave_up_was_heard_all_the_same(
    slow_shop: tuple[int, threading.Event, threading.Event],
) -> None:
    port, heard, ended = slow_shop
    wire = WebWire(port)
    wire.fail_next(Trouble.HELD_ANSWER, Trouble.CUT_ANSWER)
    before = set(threading.enumerate())

    with socket.create_connection(("127.0.0.1", int(wire.url.rpartition(":")[2]))) as browser:
        browser.sendall(SENT)
        assert heard.wait(10)
    assert ended.wait(10)
    eventually(lambda: set(threading.enumerate()) <= before, what="the end of the connection")

    assert wire.presses == 1
    wire.close()


def test_press_that_is_cut_before_the_shop_counts(wire: WebWire) -> None:
    wire.fail_next(Trouble.CUT_BEFORE)

    assert press(wire) == b""
    assert wire.presses == 1
