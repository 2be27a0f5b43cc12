"""What depends on the server: bodies in chunks, cut off or announced, and old HTTP, over real
sockets to the production server."""

import gzip
import socket
from urllib.parse import urlencode, urlsplit

import pytest

from checkout.catalogue.models import Product
from checkout.models import CartLine
from checkout.orders.models import Order
from payments.models import WebhookEvent
from tests.payments.test_webhooks import SECRET, event, signature
from tests.support.processes import ShopProcesses
from tests.support.shopper import OverHttp, Shopper

STRIPE = "/payments/webhooks/stripe/"
FORM = "application/x-www-form-urlencoded"


class Wire:
    """Writes requests byte by byte, as no library would."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80

    def send(
        self,
        start: str,
        headers: dict[str, str],
        body: bytes = b"",
        *,
        cut_off: bool = False,
    ) -> tuple[int, str]:
        lines = [start, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        with socket.create_connection((self.host, self.port), timeout=20) as wire:
            wire.sendall("\r\n".join(lines).encode("latin-1") + body)
            if cut_off:
                wire.shutdown(socket.SHUT_WR)
            told = b""
            while part := wire.recv(65536):
                told += part
        text = told.decode("utf-8", "replace")
        statuses = [line.split()[1] for line in text.split("\r\n") if line.startswith("HTTP/1.")]
        return int(statuses[-1]), text


def in_chunks(body: bytes, size: int = 7) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.fixture
def wire(processes: ShopProcesses) -> Wire:
    return Wire(processes.web(STRIPE_WEBHOOK_SECRETS=SECRET).url)


@pytest.fixture
def browser(wire: Wire) -> Shopper:
    return Shopper(OverHttp(f"http://127.0.0.1:{wire.port}"))


def headers_of(browser: Shopper, **more: str) -> dict[str, str]:
    assert isinstance(browser.web, OverHttp)
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.web.session.cookies)
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return {"Host": "127.0.0.1", "Connection": "close", "Cookie": cookies, **named}


@pytest.fixture
def press(browser: Shopper) -> bytes:
    browser.add_to_cart("SKU-01")
    return urlencode(browser.open_checkout()).encode()


def test_press_is_taken_in_every_way_of_sending_it(
    wire: Wire, browser: Shopper, press: bytes
) -> None:
    """In chunks, by HTTP/1.0, after `100 Continue`, to an absolute address: each time the same."""
    length = {"Content_Length": str(len(press))}
    chunked = {"Transfer_Encoding": "chunked"}
    start = "POST /checkout/ HTTP/1.1"
    whole = f"POST http://127.0.0.1:{wire.port}/checkout/ HTTP/1.1"
    ways = [
        (start, chunked, in_chunks(press)),
        (start, chunked | {"Expect": "100-continue"}, in_chunks(press)),
        (start, length | {"Expect": "100-continue"}, press),
        (whole, length, press),
        ("POST /checkout/ HTTP/1.0", length, press),
    ]

    answers = [
        wire.send(way, headers_of(browser, Content_Type=FORM, **more), body)
        for way, more, body in ways
    ]

    reference = Order.objects.get().reference
    assert [status for status, _ in answers] == [303] * len(ways)
    assert all(f"/orders/{reference}/" in text for _, text in answers)


def test_press_that_was_cut_off_is_refused(wire: Wire, browser: Shopper, press: bytes) -> None:
    """Its last field would otherwise be stored as far as it came."""
    headers = headers_of(browser, Content_Type=FORM, Content_Length=str(len(press)))
    chunked = headers_of(browser, Content_Type=FORM, Transfer_Encoding="chunked")
    start = "POST /checkout/ HTTP/1.1"

    answers = [
        wire.send(start, headers, press[:-3], cut_off=True),
        wire.send(start, chunked, in_chunks(press)[:-20], cut_off=True),
        wire.send(start, chunked, b"zz\r\n" + press, cut_off=True),
    ]

    assert [status for status, _ in answers] == [400] * 3
    assert not Order.objects.exists()


def test_signed_event_is_taken_in_chunks(wire: Wire, shelf: list[Product]) -> None:
    body = event({"id": "pi_1"})
    headers = {
        "Host": "127.0.0.1",
        "Connection": "close",
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signature(body),
        "Transfer-Encoding": "chunked",
    }
    start = f"POST {STRIPE} HTTP/1.1"

    assert wire.send(start, headers, in_chunks(body))[0] == 200
    assert wire.send(start, headers, in_chunks(body))[0] == 200
    assert WebhookEvent.objects.count() == 1
    # Other bytes than were signed, and more than anybody reads.
    zipped = headers | {"Content-Encoding": "gzip"}
    assert wire.send(start, zipped, in_chunks(gzip.compress(body)))[0] == 400
    assert wire.send(start, headers, in_chunks(body.ljust(70_000), 8192))[0] == 413
    assert wire.send(start, headers, in_chunks(body.ljust(2_700_000), 65536))[0] == 413


def test_charset_that_is_none_is_a_bad_request_on_the_wire(wire: Wire, browser: Shopper) -> None:
    browser.add_to_cart("SKU-01")

    for charset in ("charset=hex", "charset=rot13", "charset*=UTF-8''%00"):
        headers = headers_of(browser, Content_Type=f"text/plain; {charset}")
        status, text = wire.send("GET /cart/?a=%E9 HTTP/1.1", headers)

        assert status == 400, charset
        assert "nothing was charged" in text, charset


ODD: list[tuple[str, dict[str, str], bytes, set[int]]] = [
    ("GET / HTTP/1.0", {}, b"", {200, 400}),  # by the name that the server has itself
    ("GET / HTTP/1.0", {"Host": "127.0.0.1"}, b"", {200}),
    ("HEAD /cart/ HTTP/1.1", {"Host": "127.0.0.1"}, b"", {200}),
    (
        "GET /cart/ HTTP/1.1",
        {"Host": "127.0.0.1", "Transfer-Encoding": "chunked"},
        b"3\r\na=b\r\n0\r\n\r\n",
        {200},
    ),
    (
        "POST /cart/add/ HTTP/1.1",
        {"Host": "127.0.0.1", "Content-Length": "3, 4"},
        b"a=b",
        {400},
    ),
    (
        "POST /cart/add/ HTTP/1.1",
        {"Host": "127.0.0.1", "Content-Length": "3", "Transfer-Encoding": "chunked"},
        b"3\r\na=b\r\n0\r\n\r\n",
        {400},
    ),
    (f"GET /?a={'b' * 9000} HTTP/1.1", {"Host": "127.0.0.1"}, b"", {400, 414}),
    ("POST /cart/add/ HTTP/1.1", {"Host": "127.0.0.1"}, b"", {403}),
]


def test_odd_request_has_a_plain_answer(wire: Wire) -> None:
    for start, headers, body, statuses in ODD:
        status, _ = wire.send(start, {"Connection": "close", **headers}, body)

        assert status in statuses, (start[:80], headers, status)
        assert not CartLine.objects.exists(), (start[:80], headers)
