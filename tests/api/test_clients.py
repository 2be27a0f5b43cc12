"""Letting apps in, counting what they ask, and shutting them out."""

import io
import json

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.models import ApiRequest, ApiToken
from checkout.orders.limits.rates import read_rates
from checkout.orders.models import LimitCount, Order
from tests.support.api_caller import ORDERS, Caller


def create(*arguments: str) -> tuple[str, str]:
    told, beside = io.StringIO(), io.StringIO()
    call_command("create_api_client", *arguments, stdout=told, stderr=beside)
    return told.getvalue().strip(), beside.getvalue()


def test_token_is_printed_once_and_kept_nowhere(shelf: list[Product]) -> None:
    token, beside = create("kiosk")

    assert Caller(token).get(ORDERS).status == 200
    assert token not in beside
    row = ApiToken.objects.get()
    assert token not in {str(value) for value in vars(row).values()}
    assert not row.user.has_usable_password()
    assert row.user.get_username() == "api:kiosk"
    assert row.expiry is None


def test_second_token_says_that_there_is_another(shelf: list[Product]) -> None:
    create("kiosk")

    told, beside = create("kiosk", "--json", "--scopes", "orders:read", "--expires", "30")

    assert "kiosk has 1 more" in beside
    assert json.loads(told)["scopes"] == ["orders:read"]
    assert User.objects.get().username == "api:kiosk"
    assert ApiToken.objects.count() == 2
    assert ApiToken.objects.first().expiry is not None


def test_client_sees_addresses_of_others_only_where_that_is_named(shelf: list[Product]) -> None:
    usual = json.loads(create("kiosk", "--json")[0])
    warehouse = json.loads(create("depot", "--json", "--scopes", "orders:fulfil")[0])

    assert usual["scopes"] == ["orders:read", "orders:write"]
    assert warehouse["scopes"] == ["orders:fulfil"]
    assert Caller(usual["token"]).get("/api/v1/to-send/").status == 403
    assert Caller(warehouse["token"]).get("/api/v1/to-send/").status == 200
    assert Caller(warehouse["token"]).get(ORDERS).status == 403


@pytest.mark.parametrize(
    "arguments",
    [["Kiosk"], ["a b"], [""], ["k" * 61], ["kiosk", "--scopes", "all"], ["kiosk", "--expires=0"]],
)
def test_client_that_makes_no_sense_is_refused(db: None, arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        create(*arguments)

    assert not User.objects.exists()


def test_one_token_is_withdrawn_by_its_number(shelf: list[Product]) -> None:
    first, second = (json.loads(create("kiosk", "--json")[0]) for _ in range(2))

    call_command("withdraw_api_token", "kiosk", "--id", str(first["id"]), stdout=io.StringIO())

    assert Caller(first["token"]).get(ORDERS).status == 401
    assert Caller(second["token"]).get(ORDERS).status == 200
    with pytest.raises(CommandError, match="no such token"):
        call_command("withdraw_api_token", "kiosk", "--id", str(first["id"]))


@pytest.mark.usefixtures("at_noon")
def test_client_that_asks_too_much_is_put_off_and_no_other(
    caller: Caller, another_caller: Caller, settings: Settings
) -> None:
    settings.LIMIT_API = read_rates("client 2/10m, address 1/10m")

    answers = [caller.get(ORDERS) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].problem == "too-many-requests"
    assert answers[2].headers["Retry-After"] == "420"
    assert another_caller.get(ORDERS).status == 200
    assert [Caller().get("/api/v1/products/").status for _ in range(2)] == [200, 429]


@pytest.mark.usefixtures("at_noon")
def test_client_that_places_too_much_is_put_off_and_keeps_what_it_has(
    caller: Caller, another_caller: Caller, settings: Settings
) -> None:
    settings.LIMIT_PLACING = read_rates("session 1/10m, address 1/10m, client 2/10m")
    placed = [caller.place(key) for key in ("k-1", "k-2")]

    put_off = caller.place("k-3")

    assert [answer.status for answer in placed] == [201, 201]
    assert (put_off.status, put_off.problem) == (429, "too-many-requests")
    assert (put_off.headers["Retry-After"], put_off.json["charged"]) == ("420", False)
    assert caller.place("k-1").body == placed[0].body
    assert another_caller.place("k-3").status == 201


@pytest.mark.usefixtures("at_noon")
def test_limits_know_a_client_by_a_digest(caller: Caller, settings: Settings) -> None:
    settings.LIMIT_API = read_rates("client 2/10m")

    caller.get(ORDERS)

    key = LimitCount.objects.get().key
    assert key.startswith("api:client:600:")
    assert len(key.rpartition(":")[2]) == 32


def test_admin_shows_clients_and_requests_without_a_digest(caller: Caller) -> None:
    caller.place("key-of-the-kiosk")
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    token, request = ApiToken.objects.get(), ApiRequest.objects.get()
    number = Order.objects.get().number

    pages = {
        path: root.get(f"/admin/checkout/{path}").content.decode()
        for path in (
            "apitoken/",
            f"apitoken/{token.pk}/change/",
            "apirequest/",
            f"apirequest/{request.pk}/change/",
            f"apirequest/?q={number}",
            "apirequest/?q=key-of-the-kiosk",
            "apirequest/?q=nothing",
        )
    }

    for path, page in pages.items():
        assert token.digest not in page, path
        assert caller.token not in page, path
        assert 'name="_save"' not in page, path
    assert "key-of-the-kiosk" in pages[f"apirequest/{request.pk}/change/"]
    assert number in pages[f"apirequest/?q={number}"]
    assert number in pages["apirequest/?q=key-of-the-kiosk"]
    assert "0 api requests" in pages["apirequest/?q=nothing"]
