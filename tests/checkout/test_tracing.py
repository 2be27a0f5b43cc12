"""A request has a trace id: in its answer, on pages that tell of a failure, and in the log."""

import json
import logging
import re

import pytest
from django.db import OperationalError
from django.test import Client
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import OutboxMessage
from checkout.runtime import trace
from config.logging import JsonFormatter
from tests.support.shopper import InProcess, Shopper

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def trace_id_of(client: Client, path: str = "/healthz", **headers: str) -> str:
    return client.get(path, headers=headers).headers["X-Request-ID"]


def test_each_request_has_an_id_of_its_own(client: Client) -> None:
    ids = {trace_id_of(client), trace_id_of(client)}

    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)
    assert trace.traceparent() == ""  # nothing is left over for who comes next in this thread


def test_only_a_trusted_proxy_says_which_trace_it_is(client: Client, settings: Settings) -> None:
    assert trace_id_of(client, traceparent=GIVEN) != trace.id_in(GIVEN)

    settings.TRUSTED_PROXY_COUNT = 1

    assert trace_id_of(client, traceparent=GIVEN) == trace.id_in(GIVEN)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "nonsense",
        GIVEN.upper(),
        GIVEN + "\n",
        GIVEN + '","name":"Ada',
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        "ff" + GIVEN[2:],
    ],
)
def test_what_has_not_the_form_begins_a_new_trace(
    client: Client, settings: Settings, wrong: str
) -> None:
    settings.TRUSTED_PROXY_COUNT = 1

    given = trace_id_of(client, traceparent=wrong)

    assert re.fullmatch("[0-9a-f]{32}", given)
    assert given not in wrong.lower()


def test_every_message_keeps_the_trace_of_the_press_that_decided_it(shopper: Shopper) -> None:
    assert isinstance(shopper.web, InProcess)
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    response = shopper.web.client.post("/checkout/", form)

    message = OutboxMessage.objects.get()

    assert message.trace_id == response.headers["X-Request-ID"]
    assert message.order.traceparent == message.traceparent


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "Reference for our support: "), ("de", "Kennung für unseren Kundendienst: ")],
)
@pytest.mark.django_db
def test_error_page_prints_the_beginning_of_the_id(
    client: Client, language: str, words: str
) -> None:
    response = client.get("/nowhere/", headers={"accept-language": language})

    assert response.status_code == 404
    assert f"{words}{response.headers['X-Request-ID'][:12]}</p>" in response.text


def test_error_page_without_the_database_prints_it_too(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*args: object) -> None:
        raise OperationalError("for ada@example.com")

    monkeypatch.setattr(Product.objects, "get_queryset", away)
    caplog.handler.setFormatter(JsonFormatter("{message}", style="{"))
    caplog.set_level(logging.INFO)

    # Without the mark this test may not use a database at all.
    response = Client(raise_request_exception=False).get("/")

    assert response.status_code == 503
    trace_id = response.headers["X-Request-ID"]
    assert f"Reference for our support: {trace_id[:12]}</p>" in response.text
    lines = [json.loads(line) for line in caplog.text.splitlines()]
    assert {line["trace_id"] for line in lines} == {trace_id}
    (shown,) = [line for line in lines if line["message"] == "An error page was shown"]
    assert {"status": 503, "view": "product_list"}.items() <= shown.items()
    assert "ada@example.com" not in caplog.text


def test_purchase_that_could_not_be_stored_has_a_reference(
    shopper: Shopper, shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(shopper.web, InProcess)
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()

    def away(*args: object, **kwargs: object) -> None:
        raise OperationalError

    monkeypatch.setattr("checkout.views.checkout.find_order_and_similar", away)
    response = shopper.web.client.post("/checkout/", form)

    assert response.status_code == 503
    assert f"support: {response.headers['X-Request-ID'][:12]}</p>" in response.text
