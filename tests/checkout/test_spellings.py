"""One thing that is written in two ways is one thing."""

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.mail.account import compose_account_mail
from checkout.orders.mail.address import has_address, one_spelling
from checkout.orders.models import AccountMail, Mail, Order
from checkout.orders.numbers import parse_order_number
from checkout.orders.webhooks.endpoints import EndpointRefused, add_endpoint
from tests.checkout.test_ordered_before import QUESTION
from tests.support.api_caller import PURCHASE, new_caller
from tests.support.factories import placed_order
from tests.support.shopper import InProcess, Shopper, read_form

STORED = "Ada@xn--bcher-kva.example"
SPELLINGS = [
    "Ada@bücher.example",
    "ada@BÜCHER.example",
    "Ada@xn--bcher-kva.example",
    "ADA@XN--BCHER-KVA.EXAMPLE",
    " Ada@bücher.example\u200b",
    "A\u200bda@bü\u00adcher.example",
    "Ａｄａ＠bücher．example",
    "Ada@bu\u0308cher.example",
    "Ada@bücher。example",
    "\u202aAda@bücher.example\u202c",
]
PASSWORD = "quill and parchment"


@pytest.mark.parametrize("typed", SPELLINGS)
def test_address_has_one_spelling(typed: str) -> None:
    assert one_spelling(typed).lower() == STORED.lower()


@pytest.mark.parametrize(
    ("typed", "spelt"),
    [
        ("", ""),
        ("ada", "ada"),
        ("ada@", "ada@"),
        ("O'Neil+paper@Example.COM", "O'Neil+paper@example.com"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("ada@-ü-.example", "ada@-ü-.example"),
        ("ada @example.com", "ada @example.com"),
        ("a@b@example.com", "a@b@example.com"),
    ],
)
def test_what_is_no_address_is_left_to_be_refused(typed: str, spelt: str) -> None:
    assert one_spelling(typed) == spelt


@pytest.mark.parametrize("typed", SPELLINGS)
def test_order_is_found_by_any_spelling_of_its_address(
    typed: str, shelf: list[Product], shopper: Shopper, admin_client: Client
) -> None:
    shopper.typed |= {"email": SPELLINGS[0]}
    shopper.buy("SKU-01")
    order = Order.objects.get()
    assert order.email == STORED

    form = read_form(shopper.web.get("/orders/find/").text, "/orders/find/")
    shopper.web.post("/orders/find/", form | {"number": order.number, "email": typed})
    found = admin_client.get("/admin/orders/order/", {"q": typed})

    compose_account_mail(AccountMail.objects.get(), now=timezone.now())
    assert Mail.objects.filter(order=order, kind="link").count() == 1
    assert order.number in found.content.decode()


@pytest.mark.parametrize("typed", SPELLINGS[1:])
def test_same_goods_are_asked_about_whatever_the_spelling(
    typed: str,
    shelf: list[Product],
    shopper: Shopper,
    elsewhere: Shopper,
) -> None:
    shopper.typed |= {"email": SPELLINGS[0]}
    elsewhere.typed |= {"email": typed}
    shopper.buy("SKU-01")

    assert QUESTION in elsewhere.buy("SKU-01").words


def test_account_is_one_whatever_the_spelling(shelf: list[Product]) -> None:
    User.objects.create_user(STORED.lower(), STORED.lower(), PASSWORD)

    def send(path: str, **typed: str) -> int:
        shopper = Shopper(InProcess())
        form = read_form(shopper.web.get(path).text, path)
        return shopper.web.post(path, form | typed).status

    for typed in SPELLINGS:
        assert send("/account/sign-in/", username=typed, password=PASSWORD) in (302, 303)
    for path in ("/account/sign-up/", "/account/password/"):
        for typed in SPELLINGS[:3]:
            assert send(path, email=typed) in (302, 303)
    asked = AccountMail.objects.values_list("kind", "email")
    assert set(asked) == {("sign_up", STORED.lower()), ("password", STORED.lower())}


def test_program_may_spell_it_in_any_way(shelf: list[Product]) -> None:
    answer = new_caller().place(content=PURCHASE | {"email": SPELLINGS[5]})

    assert answer.status == 201
    assert Order.objects.get().email == STORED


def test_old_rows_are_spelt_in_one_way_by_the_migrations(shelf: list[Product]) -> None:
    odd, plain = placed_order(shelf[0]), placed_order(shelf[0])
    Order.objects.filter(pk=odd.pk).update(email="Ada@bü\u200bcher.example")
    first = User.objects.create_user("ada@bücher.example", "ada@bücher.example")
    second = User.objects.create_user("ada@bü\u200bcher.example", "ada@bü\u200bcher.example")

    for app, name in (
        ("checkout.orders", "0017_one_spelling_of_addresses"),
        ("checkout", "0006_one_spelling_of_addresses"),
    ):
        import_module(f"{app}.migrations.{name}").spell_addresses(apps, None)

    assert Order.objects.get(has_address("ada@bücher.example")) == odd
    assert Order.objects.get(pk=plain.pk).email == plain.email
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.username == STORED.lower()
    assert second.username == "ada@bü\u200bcher.example"


def test_address_in_letters_of_the_release_before_is_found(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    Order.objects.update(email="Ada@bücher.example")

    assert Order.objects.get(has_address("ada@xn--bcher-kva.example")) == order


def test_address_is_looked_for_by_its_index(shelf: list[Product]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        plan = Order.objects.filter(has_address("ada@bücher.example")).order_by().explain()
        cursor.execute("RESET enable_seqscan")

    assert "orders_order_email_idx" in plan


@pytest.mark.parametrize(
    "typed",
    [
        "{n}", " {n} ", "#{n}", "# {n}", "No. {n}", "Nr. {n}", "№ {n}", "{wide}", "{arabic}",
        "{dash}", "{minus}", "{spaced}", "{bare}", "\u200b{n}", "\u00a0{n}",
    ],
)  # fmt: skip
def test_order_number_is_read_however_it_is_written(typed: str) -> None:
    number = "100482-31"
    assert parse_order_number(number) == number
    wide = number.translate({ord("0") + n: ord("０") + n for n in range(10)})
    arabic = number.translate({ord("0") + n: ord("٠") + n for n in range(10)})
    shown = typed.format(
        n=number,
        wide=wide,
        arabic=arabic,
        dash=number.replace("-", "—"),
        minus=number.replace("-", "−"),
        spaced="100 482 - 31",
        bare="10048231",
    )

    assert parse_order_number(shown) == number
    assert parse_order_number(shown.replace("1", "7").replace("１", "７").replace("١", "٧")) is None


@pytest.mark.parametrize("typed", ["", "no", "#", "1", "№", "12a4561", "²²²", "100482-6I"])
def test_what_is_no_order_number_is_none(typed: str) -> None:
    assert parse_order_number(typed) is None


def test_endpoint_is_one_whatever_the_spelling(db: None) -> None:
    kept = add_endpoint("https://ERP.example:443")

    assert kept.url == "https://erp.example/"
    for url in ("https://erp.example", "https://erp.EXAMPLE/", "https://erp.example:443/"):
        with pytest.raises(EndpointRefused, match="already"):
            add_endpoint(url)
    assert add_endpoint("https://erp.example/Hooks?Key=A").url == "https://erp.example/Hooks?Key=A"
