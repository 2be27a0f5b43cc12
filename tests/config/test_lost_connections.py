"""After a failover every page recovers as placing an order does: a connection that is dead, or was
left with a server that takes no writes any more, costs one more try."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import InterfaceError, InternalError, OperationalError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from checkout.cart import add_to_cart
from checkout.catalogue.models import Product
from checkout.models import CartLine
from checkout.orders.mail.account import sign_up_token
from checkout.orders.models import Order, OutboxMessage
from checkout.runtime.database import is_lost_connection
from tests.support.api_caller import PURCHASE, new_caller, new_key
from tests.support.factories import placed_order
from tests.support.lost_replies import reply_to_commit_lost
from tests.support.shopper import InProcess, Shopper, read_form

EMAIL, PASSWORD = "ada@example.com", "quill and parchment"

Break = Callable[[], None]


def leave_with_a_read_only_server() -> None:
    """As a pool does whose server was the primary: reads go on, writes are refused with 25006."""
    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")


def end_the_session() -> None:
    """As a server does that is shut down."""
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    with psycopg.connect(_address()) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])


def _address() -> str:
    parts = connection.settings_dict
    words = {"host": "HOST", "port": "PORT", "user": "USER", "dbname": "NAME"}
    given = [f"{word}={parts[name]}" for word, name in words.items() if parts[name]]
    return " ".join([*given, f"password={parts['PASSWORD']}" if parts["PASSWORD"] else ""])


@pytest.fixture(params=[leave_with_a_read_only_server, end_the_session])
def fail_over(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Break]:
    yield request.param
    connection.close()


@contextmanager
def no_server_takes_writes() -> Iterator[None]:
    options = connection.settings_dict["OPTIONS"]
    before = options.get("options", "")
    options["options"] = f"{before} -c default_transaction_read_only=on"
    connection.close()
    yield
    options["options"] = before
    connection.close()


def sent_form(shopper: Shopper, page: str, action: str, typed: dict[str, str], after: Break) -> int:
    """The status of a form that was filled in before the failover and is sent after it."""
    form = read_form(shopper.web.get(page).text, action) | typed
    after()
    return shopper.web.post(action, form).status


def test_cart_takes_an_article(shopper: Shopper, fail_over: Break) -> None:
    status = sent_form(shopper, "/", "/cart/add/", {"sku": "SKU-01", "quantity": "1"}, fail_over)

    assert status == 303
    assert [line.quantity for line in CartLine.objects.all()] == [1]


def test_cart_takes_another_quantity(shopper: Shopper, fail_over: Break) -> None:
    shopper.add_to_cart("SKU-01")

    typed = {"sku": "SKU-01", "quantity": "4"}
    assert sent_form(shopper, "/cart/", "/cart/change/", typed, fail_over) == 303

    assert CartLine.objects.get().quantity == 4


@pytest.mark.parametrize("path", ["/", "/products/notebook-01/", "/cart/", "/checkout/", "/readyz"])
def test_page_is_shown(shopper: Shopper, fail_over: Break, path: str) -> None:
    shopper.add_to_cart("SKU-01")
    fail_over()

    assert shopper.web.get(path).status == 200


def test_order_is_placed(shopper: Shopper, fail_over: Break) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    fail_over()

    assert shopper.submit(form).status == 303
    assert Order.objects.count() == 1


def test_customer_signs_in_and_up(shopper: Shopper, fail_over: Break) -> None:
    User.objects.create_user(EMAIL, EMAIL, PASSWORD)
    known = {"username": EMAIL, "password": PASSWORD}
    assert sent_form(shopper, "/account/sign-in/", "/account/sign-in/", known, fail_over) == 302
    shopper.web = InProcess()

    path = reverse("sign_up_new", args=[sign_up_token("eve@example.com", "")])
    assert sent_form(shopper, path, path, {"password": PASSWORD}, fail_over) == 303
    assert User.objects.filter(username="eve@example.com").count() == 1


def test_form_from_before_a_sign_in_comes_back_filled_in(
    shopper: Shopper, fail_over: Break
) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout() | {"csrfmiddlewaretoken": "x" * 64}
    fail_over()

    answer = shopper.submit(form)

    assert answer.status == 403
    assert read_form(answer.text, "/checkout/")["address"] == form["address"]


def test_api_places_and_reads(shelf: list[Product], fail_over: Break) -> None:
    caller = new_caller()
    fail_over()
    placed = caller.place(new_key(), PURCHASE)
    assert placed.status == 201

    fail_over()
    assert caller.get(placed.headers["Location"]).status == 200
    fail_over()
    assert caller.get("/api/v1/products/").status == 200


def test_api_pays_and_cancels(shelf: list[Product], fail_over: Break) -> None:
    caller = new_caller()
    reference = caller.place(new_key(), PURCHASE).json["reference"]
    Order.objects.update(status="payment_failed")
    address = f"/api/v1/orders/{reference}/"
    fail_over()
    paid = caller.post(f"{address}pay/", {"payment_method": "pm_card_visa"})
    assert paid.status == 202

    Order.objects.update(status="payment_failed")
    fail_over()
    assert caller.post(f"{address}cancel/", {}).status == 202


def test_staff_see_and_act(shelf: list[Product], fail_over: Break) -> None:
    order = placed_order(shelf[0])
    OutboxMessage.objects.update(published_at=timezone.now())
    operator = Client()
    operator.force_login(User.objects.create_superuser("operator"))
    for path in ("/admin/", "/admin/dashboard/", "/admin/orders/order/"):
        fail_over()
        assert operator.get(path).status_code == 200
    fail_over()

    acted = operator.post(f"/admin/orders/order/{order.pk}/retry/", {"why": "It stands still"})

    assert acted.status_code == 302
    assert order.events.filter(explanation="It stands still").count() == 1


def test_probe_tells_of_a_server_that_takes_no_writes_for_good(
    client: Client, transactional_db: None
) -> None:
    with no_server_takes_writes():
        answer = client.get("/readyz")

    assert (answer.status_code, answer.content) == (503, b"The database takes no writes.\n")


def test_page_says_that_nothing_was_charged_while_nothing_can_be_written(shopper: Shopper) -> None:
    form = read_form(shopper.web.get("/").text, "/cart/add/")
    shopper.web.client.raise_request_exception = False  # type: ignore[attr-defined] # only in process

    with no_server_takes_writes():
        answer = shopper.web.post("/cart/add/", form | {"sku": "SKU-01", "quantity": "1"})

    assert answer.status == 503
    assert "nothing was charged" in answer.words


def test_what_was_committed_is_not_done_again(
    shopper: Shopper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reply to COMMIT is lost: nobody can tell whether the article is in the cart."""
    form = read_form(shopper.web.get("/").text, "/cart/add/")

    first = iter([reply_to_commit_lost()])

    def add_and_hear_nothing(*args: Any, **kwargs: Any) -> None:
        with next(first, nullcontext()):
            add_to_cart(*args, **kwargs)

    monkeypatch.setattr("checkout.views.shop.add_to_cart", add_and_hear_nothing)
    shopper.web.client.raise_request_exception = False  # type: ignore[attr-defined] # only in process

    answer = shopper.web.post("/cart/add/", form | {"sku": "SKU-01", "quantity": "1"})

    assert answer.status == 503
    assert CartLine.objects.get().quantity == 1


def test_session_that_cannot_be_stored_is_an_outage_and_no_bad_request(
    shopper: Shopper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk, where what is small still goes in."""

    def refuse(*args: object, **words: object) -> None:
        raise OperationalError("could not extend file") from psycopg.errors.DiskFull()

    form = read_form(shopper.web.get("/").text, "/cart/add/")
    monkeypatch.setattr(Session, "save", refuse)
    shopper.web.client.raise_request_exception = False  # type: ignore[attr-defined] # only in process

    answer = shopper.web.post("/cart/add/", form | {"sku": "SKU-01", "quantity": "1"})

    assert answer.status == 503
    assert "nothing was charged" in answer.words


def test_lock_that_was_waited_for_in_vain_is_not_waited_for_twice(
    shopper: Shopper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait_in_vain(*args: object, **words: object) -> None:
        tries.append(1)
        raise OperationalError("canceling statement") from psycopg.errors.LockNotAvailable()

    tries: list[int] = []
    monkeypatch.setattr("checkout.views.shop.add_to_cart", wait_in_vain)
    form = read_form(shopper.web.get("/").text, "/cart/add/")
    shopper.web.client.raise_request_exception = False  # type: ignore[attr-defined] # only in process

    answer = shopper.web.post("/cart/add/", form | {"sku": "SKU-01", "quantity": "1"})

    assert (answer.status, len(tries)) == (503, 1)


@pytest.mark.parametrize(
    ("error", "cause", "is_lost"),
    [
        (OperationalError, None, True),
        (InterfaceError, None, True),
        (OperationalError, psycopg.errors.AdminShutdown(), True),
        (InternalError, psycopg.errors.ReadOnlySqlTransaction(), True),
        (InternalError, psycopg.errors.IdleInTransactionSessionTimeout(), True),
        (InternalError, psycopg.errors.InFailedSqlTransaction(), False),
        (OperationalError, psycopg.errors.QueryCanceled(), False),
        (OperationalError, psycopg.errors.DiskFull(), False),
        (ValueError, None, False),
    ],
)
def test_a_lost_connection_is_told_from_other_errors(
    error: type[Exception], cause: Exception | None, is_lost: bool
) -> None:
    raised = error()
    raised.__cause__ = cause

    assert is_lost_connection(raised) is is_lost


def test_kept_connection_to_a_read_only_server_is_given_up_before_the_next_request(
    transactional_db: None,
) -> None:
    leave_with_a_read_only_server()
    connection.close_if_unusable_or_obsolete()
    for name, value in {"health_check_enabled": True, "health_check_done": False}.items():
        setattr(connection, name, value)
    connection.close_if_health_check_failed()

    placed_at = timezone.now()

    assert Order.objects.filter(placed_at__gt=placed_at).count() == 0
    with connection.cursor() as cursor:
        cursor.execute("SHOW default_transaction_read_only")
        assert cursor.fetchone() == ("off",)
