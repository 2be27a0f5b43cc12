"""The wire between browser and shop tells a press that the shop heard from one that was lost."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.doubles.web_wire import PRESS, Trouble, WebWire

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


def test_press_that_is_cut_before_the_shop_counts(wire: WebWire) -> None:
    wire.fail_next(Trouble.CUT_BEFORE)

    assert press(wire) == b""
    assert wire.presses == 1
