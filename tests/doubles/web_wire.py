"""A wire between a browser and the shop that fails at the press of the button.

It reads just enough of what the browser sends to know the POST of the checkout form.
"""

import socket
import threading
from contextlib import suppress
from enum import Enum
from functools import partial

PRESS = b"POST /checkout/ HTTP/1.1"


class Trouble(Enum):
    """What happens to a press."""

    CUT_BEFORE = "the connection is cut, and the shop hears nothing"
    CUT_ANSWER = "the shop hears it, and its answer is lost"
    HELD_ANSWER = "the shop hears it, and its answer waits until it is let go"


class _Conversation:
    """What the two directions of one connection know of its press."""

    def __init__(self) -> None:
        self.trouble: Trouble | None = None
        self.is_unanswered = False  # a press was sent on, and nothing came back yet
        self.is_given_up = False  # the browser has ended the connection
        self.is_over = False  # the shop has ended the connection


class WebWire:
    def __init__(self, port: int) -> None:
        self._shop = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._troubles: list[Trouble] = []
        self._sockets: list[socket.socket] = []
        self.let_go = threading.Event()
        self.presses = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def fail_next(self, *troubles: Trouble) -> None:
        with self._lock:
            self._troubles = list(troubles)
            self.presses = 0
        self.let_go.clear()

    def close(self) -> None:
        self.let_go.set()
        self._listener.close()
        for each in self._sockets:
            _close(each)

    def _accept(self) -> None:
        while True:
            try:
                browser, _ = self._listener.accept()
            except OSError:
                return
            shop = socket.create_connection(self._shop)
            self._sockets += [browser, shop]
            talk = _Conversation()
            for carry in (self._carry_presses, self._carry_answers):
                threading.Thread(target=partial(carry, browser, shop, talk), daemon=True).start()

    def _carry_presses(
        self, browser: socket.socket, shop: socket.socket, talk: _Conversation
    ) -> None:
        while data := _receive(browser):
            if PRESS in data and not self._take_press(talk):
                break
            with suppress(OSError):
                shop.sendall(data)
        talk.is_given_up = True
        _close(browser)
        _close(shop)

    def _take_press(self, talk: _Conversation) -> bool:
        """Whether the press goes on to the shop."""
        with self._lock:
            if talk.is_over:
                return False
            self.presses += 1
            talk.trouble = self._troubles.pop(0) if self._troubles else None
            talk.is_unanswered = talk.trouble is not Trouble.CUT_BEFORE
            return talk.is_unanswered

    def _carry_answers(
        self, browser: socket.socket, shop: socket.socket, talk: _Conversation
    ) -> None:
        while data := _receive(shop):
            talk.is_unanswered = False
            if talk.trouble is Trouble.CUT_ANSWER:
                break
            if talk.trouble is Trouble.HELD_ANSWER:
                self.let_go.wait(timeout=60)
            with suppress(OSError):
                browser.sendall(data)
        self._end(talk)
        _close(browser)
        _close(shop)

    def _end(self, talk: _Conversation) -> None:
        """A shop that ends an idle connection has not heard the press that came meanwhile, so it
        was none, and its trouble is for the next. A press that the browser gave up stays heard."""
        with self._lock:
            talk.is_over = True
            if talk.is_unanswered and not talk.is_given_up:
                self.presses -= 1
                if talk.trouble:
                    self._troubles.insert(0, talk.trouble)


def _receive(end: socket.socket) -> bytes:
    try:
        return end.recv(65536)
    except OSError:
        return b""


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
