"""What is typed as an amount of money is what is stored, or refused with what it could mean."""

import re
from decimal import Decimal
from html import unescape

import pytest
from django.test import Client
from django.utils.translation import override
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.catalogue.money import money, show_money
from checkout.catalogue.typed_amounts import (
    LARGEST_MINOR,
    AmountField,
    UnreadableAmount,
    places,
    read_amount,
    write_amount,
)
from tests.support.shopper import read_form

LANGUAGES = ["en", "de"]
CURRENCIES = ["EUR", "USD", "JPY", "KWD", "ISK", "MGA"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("typed", "currency", "amount_minor"),
    [
        ("12.50", "EUR", 1250),
        ("12,50", "EUR", 1250),
        ("12.5", "EUR", 1250),
        ("12", "EUR", 1200),
        ("0", "EUR", 0),
        ("0,05", "EUR", 5),
        (" 1250 ", "EUR", 125000),
        ("1,234.56", "EUR", 123456),
        ("1.234,56", "EUR", 123456),
        ("1.234.567", "EUR", 123456700),
        ("1,234,567.8", "EUR", 123456780),
        ("1 234,56", "EUR", 123456),
        ("1\u202f234,56", "EUR", 123456),
        ("1'234.50", "EUR", 123450),
        ("1’234", "EUR", 123400),
        ("€12.50", "EUR", 1250),
        ("12,50\u00a0€", "EUR", 1250),
        ("eur 12.50", "EUR", 1250),
        ("12.50 EUR", "EUR", 1250),
        ("$9.99", "USD", 999),
        ("1250", "JPY", 1250),
        ("¥1250", "JPY", 1250),
        ("12.5", "KWD", 12500),
        ("1,234.567", "KWD", 1234567),
        ("9.999.999.999,99", "EUR", LARGEST_MINOR),
    ],
)
def test_typed_amount_is_read_in_the_main_unit(
    language: str, typed: str, currency: str, amount_minor: int
) -> None:
    with override(language):
        assert read_amount(typed, currency) == amount_minor


@pytest.mark.parametrize(
    ("language", "typed", "currency", "said"),
    [
        ("en", "1.000", "EUR", "1.000 could mean €1.00 or €1,000.00. Write 1 or 1000."),
        ("en", "1,000", "EUR", "1,000 could mean €1.00 or €1,000.00. Write 1 or 1000."),
        ("en", "€12.500", "EUR", "12.500 could mean €12.50 or €12,500.00. Write 12.50 or 12500."),
        ("en", "1,000", "JPY", "1,000 could mean ¥1 or ¥1,000. Write 1 or 1000."),
        (
            "en",
            "1,234",
            "KWD",
            "could mean KWD1.234 or KWD1,234.000. Write 1.234 or 1234.",
        ),
        ("de", "1.234", "KWD", "könnte 1,234\u00a0KWD oder 1.234,000\u00a0KWD heißen"),
        ("de", "1.000", "EUR", "könnte 1,00\u00a0€ oder 1.000,00\u00a0€ heißen"),
        ("en", "1.234", "EUR", "1.234 could mean €1,234.00, or have a decimal too many."),
        ("de", "1,234", "EUR", "eine Nachkommastelle zu viel"),
    ],
)
def test_what_could_mean_two_amounts_is_refused_with_both(
    language: str, typed: str, currency: str, said: str
) -> None:
    with override(language), pytest.raises(UnreadableAmount) as refused:
        read_amount(typed, currency)

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "currency", "said"),
    [
        *((typed, "EUR", "in the digits 0 to 9, such as 1234.50") for typed in [
            "", "-1", "−1", "(1)", "+1", "1e3", "1_0", "１２", "١٢", "²", "½", "nan", "inf", "0x1",
            "12.", ".50", "1.2.3", "12.34,5", "1,23.45", "1.2345.678", "12 50", "1,234,56", "007",
            "$12.50", "12.50 USD", "12.50 Euro", "€", "1,234.567,8", "9" * 60,
        ]),
        ("12.345,", "EUR", "such as"),
        ("1234.567", "EUR", "EUR has 2 decimals at most."),
        ("0.500", "EUR", "EUR has 2 decimals at most."),
        ("12.5", "JPY", "JPY has no decimals."),
        ("12.00", "JPY", "JPY has no decimals."),
        ("1.2345", "KWD", "KWD has 3 decimals at most."),
        ("10000000000", "EUR", "The largest amount is €9,999,999,999.99."),
        ("9" * 40, "EUR", "The largest amount is"),
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused_by_name(typed: str, currency: str, said: str) -> None:
    with override("en"), pytest.raises(UnreadableAmount) as refused:
        read_amount(typed, currency)

    assert said in str(refused.value)


@given(
    st.integers(0, LARGEST_MINOR), st.sampled_from(CURRENCIES), st.sampled_from(["en", "de", "fr"])
)
def test_what_is_written_is_read_back(amount_minor: int, currency: str, language: str) -> None:
    with override(language):
        assert read_amount(write_amount(amount_minor, currency), currency) == amount_minor


@given(st.text("0123456789.,' ", max_size=14), st.sampled_from(CURRENCIES))
def test_what_is_read_has_no_other_reading(typed: str, currency: str) -> None:
    """By brute force: each of the two signs as the decimal one, all else left out."""
    try:
        amount_minor = read_amount(typed, currency)
    except UnreadableAmount:
        return
    readings = set()
    for point in ".,":
        digits = "".join(sign for sign in typed if sign.isdecimal() or sign == point)
        if digits.count(point) <= 1 and not digits.endswith(point):
            readings.add(Decimal(digits.replace(point, ".")).scaleb(places(currency)))
    assert amount_minor in readings
    if re.fullmatch(r"[1-9][0-9]{0,2}[.,][0-9]{3}", typed.strip()):
        assert places(currency) == 3  # which pages write so


def test_field_tells_a_changed_amount_from_another_writing() -> None:
    field = AmountField(currency="EUR")

    assert field.prepare_value(1250) == "12.50"
    assert not field.has_changed(1250, "12,5")
    assert field.has_changed(1250, "1250")
    assert field.has_changed(1250, "1.000")


LIST = "/admin/catalogue/product/"


@pytest.fixture
def notebook(shelf: list[Product]) -> str:
    return f"{LIST}{shelf[0].pk}/change/"


def price() -> int:
    return Product.objects.get(sku="SKU-01").price_minor


def test_price_is_typed_and_shown_in_the_main_unit(admin_client: Client, notebook: str) -> None:
    page = admin_client.get(notebook).content.decode()
    form = read_form(page, "")
    assert "Price in EUR" in page
    assert form["price_minor"] == "10.01"

    answer = admin_client.post(notebook, form | {"price_minor": "12.50"})

    assert (answer.status_code, price()) == (302, 1250)
    assert "€12.50" in admin_client.get(LIST).content.decode()


def test_price_is_typed_as_germans_do(admin_client: Client, notebook: str) -> None:
    admin_client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de"
    form = read_form(admin_client.get(notebook).content.decode(), "")
    assert form["price_minor"] == "10,01"

    admin_client.post(notebook, form | {"price_minor": "1.234,56"})

    assert price() == 123456
    assert "1.234,56\xa0€" in admin_client.get(LIST).content.decode()


def test_unclear_price_is_refused_and_kept_as_typed(admin_client: Client, notebook: str) -> None:
    form = read_form(admin_client.get(notebook).content.decode(), "")

    answer = admin_client.post(notebook, form | {"price_minor": "1.000"})

    assert "could mean €1.00 or €1,000.00" in unescape(answer.content.decode())
    assert read_form(answer.content.decode(), "")["price_minor"] == "1.000"
    assert price() == 1001


def test_saving_a_page_without_touching_the_price_keeps_it(
    admin_client: Client, notebook: str
) -> None:
    form = read_form(admin_client.get(notebook).content.decode(), "")
    Product.objects.update(price_minor=2000)

    admin_client.post(notebook, form | {"description": "Other"})

    assert price() == 2000


def test_price_that_somebody_else_changed_is_told_in_the_main_unit(
    admin_client: Client, notebook: str
) -> None:
    form = read_form(admin_client.get(notebook).content.decode(), "")
    Product.objects.update(price_minor=2000)

    answer = admin_client.post(notebook, form | {"price_minor": "12.50"})

    told = unescape(answer.content.decode())
    assert "was “10.01” and is “20.00” now" in told
    assert "make it “12.50”" in told


def test_yen_have_no_decimals(admin_client: Client, notebook: str, settings: Settings) -> None:
    settings.SHOP_CURRENCY = "JPY"
    form = read_form(admin_client.get(notebook).content.decode(), "")
    assert form["price_minor"] == "1001"

    refused = admin_client.post(notebook, form | {"price_minor": "12.50"})
    assert "JPY has no decimals" in refused.content.decode()
    admin_client.post(notebook, form | {"price_minor": "1250"})
    assert price() == 1250
    assert show_money(money(price(), "JPY")) == "¥1,250"


@pytest.mark.parametrize("path", ["orders/order", "payments/payment", "payments/refund"])
def test_no_list_filters_by_minor_units(admin_client: Client, path: str) -> None:
    """A typed address that Django would otherwise understand: 12 would be twelve cents."""
    for name in ("total_minor__gte", "amount_minor__gte", "amount_minor"):
        answer = admin_client.get(f"/admin/{path}/", {name: "12"})
        assert answer.status_code in {302, 400}
