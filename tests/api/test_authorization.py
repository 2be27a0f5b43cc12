"""Every kind of caller at every endpoint, and every endpoint with an order of somebody else."""

import io
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from checkout.api.authentication import create_client
from checkout.catalogue.models import Product
from checkout.models import ApiToken, Scope
from checkout.orders.models import Order
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from tests.support.api_caller import ORDERS, PURCHASE, Answer, Caller, new_caller
from tests.support.factories import placed_order

PAYMENT = {"payment_method": "pm_card_visa"}

ENDPOINTS = ["products", "place", "list", "read", "pay", "cancel", "to send", "ship"]
ABOUT_OWN = {"read", "pay", "cancel"}

# Whom → which endpoints let them in. To all others they say 401 or 403.
MAY: dict[str, set[str]] = {
    "nobody": {"products"},
    "a token of no scope": {"products"},
    "a reader": {"products", "list", "read"},
    "a writer": {"products", "place", "pay", "cancel"},
    "both": {"products", "place", "list", "read", "pay", "cancel"},
    "a warehouse": {"products", "to send", "ship"},
}


def caller_named(who: str) -> Caller:
    scopes = {
        "a reader": [Scope.READ],
        "a writer": [Scope.WRITE],
        "both": [Scope.READ, Scope.WRITE],
        "a warehouse": [Scope.FULFIL],
        "a token of no scope": [],
    }
    return Caller() if who == "nobody" else new_caller(scopes=scopes[who])


def ask(caller: Caller, endpoint: str, reference: str) -> Answer:
    order = f"{ORDERS}{reference}/"
    match endpoint:
        case "products":
            return caller.get("/api/v1/products/")
        case "place":
            return caller.place()
        case "list":
            return caller.get(ORDERS)
        case "read":
            return caller.get(order)
        case "pay":
            return caller.post(f"{order}pay/", PAYMENT)
        case "to send":
            return caller.get("/api/v1/to-send/")
        case "ship":
            return caller.post(f"{order}shipments/", {})
    return caller.post(f"{order}cancel/", {})


@pytest.mark.parametrize("who", MAY)
def test_caller_is_let_in_where_they_may_and_nowhere_else(
    shelf: list[Product], another_caller: Caller, who: str
) -> None:
    """A foreign order and one that is not there are the same 404; who may not ask at all is told
    so whether it is there or not."""
    foreign = another_caller.place().json["reference"]
    caller = caller_named(who)

    for endpoint in ENDPOINTS:
        answers = [ask(caller, endpoint, reference) for reference in (foreign, "x" * 22)]
        told = {(answer.status, answer.body) for answer in answers}
        statuses = {answer.status for answer in answers}
        if endpoint not in MAY[who]:
            assert statuses == {401 if who == "nobody" else 403}, endpoint
            assert len(told) == 1, endpoint
        elif endpoint in ABOUT_OWN:
            assert statuses == {404}, endpoint
            assert len(told) == 1, endpoint
        elif endpoint == "ship":  # everybody's orders are theirs, and this one is not paid
            assert statuses == {404, 409}, endpoint
        else:
            assert statuses <= {200, 201}, endpoint
    assert foreign not in ask(caller, "list", "").body.decode()


@pytest.mark.parametrize("who", ["a warehouse", "both"])
def test_addresses_of_others_are_seen_with_the_scope_that_is_about_them_alone(
    shelf: list[Product], who: str
) -> None:
    order = placed_order(shelf[0])
    transition(order.pk, OrderStatus.PAID, reason="Test", now=timezone.now())

    body = ask(caller_named(who), "to send", "").body.decode()

    assert (order.address in body) is (who == "a warehouse")


@pytest.mark.parametrize("endpoint", ["read", "pay", "cancel"])
def test_order_of_the_pages_is_seen_by_no_client(
    caller: Caller, shelf: list[Product], endpoint: str
) -> None:
    order = placed_order(shelf[0])  # by a guest: it has no customer

    assert ask(caller, endpoint, order.reference).status == 404


def test_unauthorized_caller_is_told_how_to_come_in(shelf: list[Product]) -> None:
    answer = Caller().get(ORDERS)

    assert (answer.status, answer.problem) == (401, "not-authenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "token",
    ["", "once_" + "0" * 64, "once_\0", "\xff\xfe", "two words", "o" * 3000, "once_" + "Z" * 64],
    ids=["empty", "unknown", "nul", "no utf-8", "two words", "long", "no hex"],
)
def test_token_that_is_none_of_ours_opens_nothing(shelf: list[Product], token: str) -> None:
    answer = Caller().get(ORDERS, Authorization=f"Bearer {token}")

    assert (answer.status, answer.problem) == (401, "not-authenticated")


def test_token_that_was_withdrawn_opens_nothing_from_then_on(caller: Caller) -> None:
    caller.place()
    name = ApiToken.objects.get().user.username.removeprefix("api:")

    call_command("withdraw_api_token", name, stdout=io.StringIO())

    assert caller.get(ORDERS).status == 401


def test_token_that_has_expired_opens_nothing(caller: Caller) -> None:
    ApiToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))

    assert caller.get(ORDERS).status == 401


def test_client_that_was_closed_has_no_way_in(caller: Caller) -> None:
    User.objects.update(is_active=False)

    assert caller.get(ORDERS).status == 401


def test_second_token_of_a_client_sees_the_same_orders_and_keys(caller: Caller) -> None:
    """So that a token can be replaced without a pause."""
    placed = caller.place("k-1")
    name = ApiToken.objects.get().user.username.removeprefix("api:")
    second = Caller(create_client(name, Scope.values, expires_in=None).token)

    assert second.place("k-1").body == placed.body
    assert second.get(placed.headers["Location"]).status == 200


@pytest.fixture
def person(shelf: list[Product]) -> User:
    return User.objects.create_user("ada@example.com", "ada@example.com", "quill")


def test_person_who_is_signed_in_sees_their_orders_of_the_pages(
    person: User, shelf: list[Product]
) -> None:
    mine, other = placed_order(shelf[0]), placed_order(shelf[1])
    Order.objects.filter(pk=mine.pk).update(customer=person)
    browser = Client()
    browser.force_login(person)

    listed = browser.get(ORDERS).json()["results"]

    assert [order["reference"] for order in listed] == [mine.reference]
    assert browser.get(f"{ORDERS}{other.reference}/").status_code == 404


def test_session_alone_places_nothing_without_a_csrf_token(person: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(person)
    headers = {"Idempotency-Key": "k-1"}

    refused = browser.post(ORDERS, PURCHASE, "application/json", headers=headers)

    assert refused.status_code == 403
    assert refused.json()["type"] == "/api/v1/problems/not-permitted"
    assert not Order.objects.exists()
    browser.get("/")
    csrf = {"X-CSRFToken": browser.cookies["csrftoken"].value}
    placed = browser.post(ORDERS, PURCHASE, "application/json", headers=headers | csrf)
    assert placed.status_code == 201
    assert Order.objects.get().customer == person


def test_staff_see_no_more_than_others(person: User, shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    browser = Client()
    browser.force_login(User.objects.create_superuser("root"))

    assert browser.get(f"{ORDERS}{order.reference}/").status_code == 404
