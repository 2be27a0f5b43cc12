"""Bytes that nobody types, in every place that a request has: never an error of the shop's, and
nothing is changed by them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.models import ApiRequest, Cart
from checkout.orders.models import Order, OrderEvent, OutboxMessage
from checkout.user_input.text import one_line
from payments.models import WebhookEvent
from tests.payments.test_webhooks import SECRET, event, signature
from tests.support.api_caller import ORDERS, PURCHASE, Caller, new_caller
from tests.support.factories import placed_order
from tests.support.long import all_or, at_length
from tests.support.shopper import InProcess, Shopper, read_form

# As they stand in an address.
HOSTILE = {
    "NUL": "%00",
    "NUL inside": "a%00b",
    "no UTF-8": "%FF%C3%28",
    "half a pair": "%ED%A0%80",
    "overlong": "%C0%80",
    "long number": "9" * 20,
    "number that no int is made of": "9" * 5000,
    "negative": "-1",
    "300 characters": "k" * 300,
    "turned direction": "%E2%80%AEabc",
    "line ends": "%0D%0ASet-Cookie:%20a=b",
    "other digits": quote("٣٤"),
    "encoded twice": "%2500",
}

# Whatever a view, a list of the admin or the framework reads from a query.
READ = ["before", "next", "redirect_status", "cursor", "q", "p", "o", "e", "all", "attention"]
READ += ["status", "status__exact", "state", "kind", "endpoint", "endpoint__id__exact", "page"]
READ += ["is_surplus__exact", "_changelist_filters", "_popup", "_to_field", "_facets", "format"]
READ += ["app_label", "model_name", "field_name", "term", "id__in", "is_on_sale__exact", "lang"]
QUERY = {value: "&".join(f"{name}={value}" for name in READ) for value in HOSTILE.values()}

# Whatever a view reads from a form.
FIELDS = ["token", "again", "answer", "next", "sku", "quantity", "email", "username", "password"]
FIELDS += ["number", "full_name", "address", "city", "postcode", "country", "payment_method"]
FIELDS += ["failed_round", "new_password1", "new_password2", "why", "reason", "amount", "key"]
FIELDS += ["otp_device", "otp_token", "action", "_selected_action", "became", "press", "unknown"]

FORM = "application/x-www-form-urlencoded"

# Whoever is not signed in is led to the same page from every page of the admin: some are enough.
OF_THE_ADMIN, SOME_OF_IT = "/admin/", ("/admin/login/", "/admin/orders/order/")

NOTHING_BEHIND = {"/api/v1/openapi.yaml", "/api/v1/docs/"}  # take long, and read nothing


def routes(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            assert isinstance(pattern, URLPattern)
            yield route


def addresses(value: str) -> list[str]:
    """Every address of the shop, with this in the place of each of its parameters."""
    return sorted({f"/{filled(route, value)}" for route in routes(get_resolver().url_patterns)})


def filled(route: str, value: str) -> str:
    """`orders/<reference:reference>/`, or `^(?P<url>.*)$` as Django's admin has it."""
    text, depth = "", 0
    for character in route:
        depth += (character in "<(") - (character in ">)")
        if character in ">)" and depth == 0:
            text += value
        elif depth == 0 and character not in "^$\\":
            text += character
    return text


def test_the_walk_reaches_every_room() -> None:
    found = addresses("x")

    assert {"/", "/checkout/", "/orders/x/pay/", "/admin/orders/order/x/change/"} <= set(found)
    assert len(found) > 80


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    return placed_order(shelf[0])


@pytest.fixture
def nothing_is_changed(order: Order) -> Iterator[None]:
    before = stored()
    yield
    assert stored() == before


def stored() -> list[object]:
    kept: list[Any] = [Order, OrderEvent, OutboxMessage, Product, ApiRequest, WebhookEvent, User]
    return [list(model.objects.order_by("pk").values()) for model in kept]


@dataclass
class Everybody:
    """Somebody from the street, and somebody who may see and do everything."""

    stranger: Client
    staff: Client

    def walks(self, paths: set[str]) -> Iterator[tuple[Client, str]]:
        for path in sorted(each for each in paths if "logout" not in each):
            yield self.staff, path
            if not path.startswith(OF_THE_ADMIN) or path.startswith(SOME_OF_IT):
                yield self.stranger, path


@pytest.fixture
def everybody(order: Order) -> Everybody:
    staff = Client(raise_request_exception=False)
    staff.force_login(User.objects.create_superuser("staff", password="x"))
    return Everybody(Client(raise_request_exception=False), staff)


@pytest.mark.parametrize("kind", all_or(["NUL", "long number"], list(HOSTILE)))
def test_every_address_takes_every_byte(
    everybody: Everybody, nothing_is_changed: None, kind: str
) -> None:
    value = HOSTILE[kind]
    filled_in = set(addresses(value)) - NOTHING_BEHIND
    with_number = set(addresses("1")) - NOTHING_BEHIND

    errors = {
        (address[:80], status)
        for client, address in everybody.walks(filled_in)
        if (status := client.get(address).status_code) >= 500
    }
    errors |= {
        (f"{address}?…", status)
        for client, address in everybody.walks(with_number)
        if (status := client.get(f"{address}?{QUERY[value]}").status_code) >= 500
    }

    assert errors == set()


@pytest.mark.parametrize("value", ["a%00b", *at_length("%FF%ED%A0%80", "k" * 300, "9" * 5000)])
def test_every_form_takes_every_byte(
    everybody: Everybody, nothing_is_changed: None, order: Order, value: str
) -> None:
    body = "&".join(f"{name}={value}" for name in FIELDS)
    found = {*addresses(str(order.pk)), *addresses(order.reference)} - NOTHING_BEHIND

    errors = {
        (address, status)
        for client, address in everybody.walks(found)
        if "sign-out" not in address
        if (status := client.post(address, body, content_type=FORM).status_code) >= 500
    }

    assert errors == set()


@pytest.mark.parametrize("path", ["/account/?before=%00", "/cart/?a=b%00c", "/%00", "/orders/%00/"])
def test_nul_in_an_address_is_a_bad_request(client: Client, db: None, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 400
    assert "nothing was charged" in answer.content.decode()


def test_nul_in_an_address_of_the_api_is_a_problem_document(caller_of: Caller) -> None:
    assert caller_of.get(f"{ORDERS}?cursor=%00").problem == "malformed-request"


@pytest.fixture
def caller_of(shelf: list[Product]) -> Caller:
    return new_caller()


@pytest.mark.parametrize("name", ["sessionid", "csrftoken", "messages", "django_language"])
@pytest.mark.parametrize(
    "value", ['"aaaaaaaa\\000b"', "%00", "\ud83d\udc08", '"\\377"', "k" * 300, "'"]
)
def test_cookie_that_is_not_ours_is_none(
    client: Client, shelf: list[Product], name: str, value: str
) -> None:
    header = f"{name}={value}".encode("utf-8", "surrogatepass").decode("latin-1")

    assert client.get("/cart/", HTTP_COOKIE=header).status_code == 200
    assert client.get("/account/", HTTP_COOKIE=header).status_code == 302
    assert client.get(ORDERS, HTTP_COOKIE=header).status_code == 401
    assert not Session.objects.exists()


HEADERS = ["Authorization", "Idempotency-Key", "If-None-Match", "Prefer", "Accept", "Referer"]
HEADERS += ["Accept-Language", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Origin"]
HEADERS += ["traceparent", "Stripe-Signature", "User-Agent", "Cookie", "X-CSRFToken", "Range"]


@pytest.mark.parametrize(
    "value", ["\0", "\xff\xfe", *at_length("9" * 5000, ",;=\"'", "Bearer \xe9", "-1")]
)
def test_every_header_takes_every_byte(
    settings: Settings, shelf: list[Product], caller_of: Caller, value: str
) -> None:
    settings.TRUSTED_PROXY_COUNT = 1
    client = Client(raise_request_exception=False)
    body = json.dumps(PURCHASE)
    for header in HEADERS:
        headers = {"Authorization": f"Bearer {caller_of.token}"} | {header: value}
        for path in ("/", "/cart/", "/metrics", ORDERS, "/admin/"):
            assert client.get(path, headers=headers).status_code < 500, (header, path)
        for path in (ORDERS, "/payments/webhooks/stripe/", "/cart/add/", "/account/sign-up/"):
            answer = client.post(path, body, content_type="application/json", headers=headers)
            assert answer.status_code < 500, (header, path)
    assert Order.objects.count() <= 1  # the key may be one


@pytest.mark.parametrize("kind", ["multipart/form-data", FORM, "x"])
@pytest.mark.parametrize("charset", ["hex", "rot13", "undefined", "none-such", "utf-7", "idna"])
def test_charset_that_is_none_is_a_bad_request(
    shelf: list[Product], kind: str, charset: str
) -> None:
    client = Client(raise_request_exception=False)
    content_type = f"{kind}; boundary=b; charset={charset}"

    paths = ("/account/sign-up/", "/cart/add/", "/payments/webhooks/stripe/", "/checkout/")
    statuses = {
        client.generic(method, path, b"--b\r\nx", content_type).status_code
        for path in paths
        for method in ("GET", "POST")
    }

    assert max(statuses) < 500
    assert not Cart.objects.exists()


@pytest.mark.parametrize("length", ["x", "9" * 5000, "-1", "٣"])
def test_length_that_is_none_is_no_error(length: str, shelf: list[Product]) -> None:
    client = Client(raise_request_exception=False)

    for path in ("/payments/webhooks/stripe/", "/cart/add/", "/checkout/", ORDERS):
        answer = client.post(path, b"a=b", content_type="text/plain", CONTENT_LENGTH=length)
        assert answer.status_code < 500, path


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b", "\udfff"])
def test_event_with_unstorable_texts_is_no_error(
    settings: Settings, order: Order, text: str
) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = [SECRET]
    bodies = [
        event({"id": text, "payment_intent": text, "metadata": {"order": text, text: text}}),
        event({"id": "pi_1"}, kind=text),
        event({"id": "pi_1"}).replace(b'"evt_', json.dumps(text).encode()[:-1]),
    ]

    statuses = [
        Client(raise_request_exception=False)
        .post(
            "/payments/webhooks/stripe/",
            body,
            content_type="application/json",
            headers={"Stripe-Signature": signature(body)},
        )
        .status_code
        for body in bodies
    ]

    assert statuses == [200, 400, 400]
    assert OutboxMessage.objects.count() == 1


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("\u202aAda Quillfeather\u202c", "Ada Quillfeather"),
        ("Ada\r\nQuillfeather", "Ada Quillfeather"),
        ("Ada\tQuillfeather\u2028", "Ada Quillfeather"),
        ("عائشة\u200c بنت", "عائشة\u200c بنت"),
        ("Núñez-O’Connor", "Núñez-O’Connor"),
    ],
)
def test_name_is_kept_without_what_nobody_sees(shopper: Shopper, typed: str, kept: str) -> None:
    assert one_line(typed) == kept
    shopper.typed |= {"full_name": typed}

    assert shopper.buy("SKU-01").status == 303

    assert Order.objects.get().full_name == kept


@pytest.mark.parametrize("field", ["full_name", "address", "city", "postcode"])
def test_name_with_what_cannot_be_printed_is_asked_for_again(shopper: Shopper, field: str) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()

    for character in ("\0", "\x07", "\x7f", "\x9b", "\ufffd", "\uffff"):
        answer = shopper.submit(form | {field: f"A{character}B"})

        assert answer.status == 422, repr(character)
        assert "Nothing was ordered or charged yet" in answer.words
        assert read_form(answer.text, "/checkout/")["email"] == form["email"]
        assert not Order.objects.exists()


def test_form_in_another_charset_is_not_stored_garbled(shelf: list[Product]) -> None:
    """An old client that sends Latin-1 and says nothing: an ö that cannot be read is no ö."""
    shopper = Shopper(InProcess())
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout() | {"full_name": "Jorg"}
    body = "&".join(f"{quote(name)}={quote(value)}" for name, value in form.items())
    assert isinstance(shopper.web, InProcess)

    answer = shopper.web.client.post(
        "/checkout/",
        body.replace("Jorg", "J%F6rg"),
        content_type=FORM,
    )

    assert answer.status_code == 422
    assert not Order.objects.exists()
