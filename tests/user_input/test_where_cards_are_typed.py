"""A card number typed into the wrong field is neither kept, shown again nor logged, at any door."""

import importlib
import json
import logging
import random
from argparse import ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.http import QueryDict

from checkout.forms import CheckoutForm
from checkout.orders.models import Order
from checkout.runtime.terminal import reason
from checkout.user_input.form_fields import CARD_NUMBER, LONGEST_SHOWN, WithoutCardNumbers
from config.logging import JsonFormatter
from tests.support.api_caller import ORDERS, PURCHASE, new_caller
from tests.support.shopper import TYPED, Shopper, read_form
from tests.user_input.generated import text_with_card, text_without_card

ROOT = Path(__file__).resolve().parents[2]

CARD = "4242 4242-4242 4242"

# They show and store no text that was typed: quantities and passwords.
WITHOUT_TEXTS = {"checkout.forms.QuantityForm", "checkout.forms.NewPasswordForm"}


def all_forms() -> Iterator[type[forms.BaseForm]]:
    for package in ("checkout", "payments"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "Form)" not in (source := path.read_text()) and "Form[" not in source:
                continue
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for found in vars(importlib.import_module(name)).values():
                is_form = isinstance(found, type) and issubclass(found, forms.BaseForm)
                if is_form and found.__module__ == name:
                    yield found


def test_every_form_with_texts_takes_card_numbers_out() -> None:
    found = {f"{each.__module__}.{each.__name__}": each for each in all_forms()}
    assert len(found) > 10

    keeping = {name for name, each in found.items() if not issubclass(each, WithoutCardNumbers)}

    assert keeping == WITHOUT_TEXTS


def checkout_form(**typed: str) -> CheckoutForm:
    data = QueryDict(mutable=True)
    data.update(TYPED | typed)
    return CheckoutForm(data)


@pytest.mark.parametrize("name", ["full_name", "address", "city", "postcode", "email"])
def test_card_number_is_taken_out_of_a_field_and_told(shopper: Shopper, name: str) -> None:
    shopper.add_to_cart("SKU-01")
    typed = f"{CARD}@example.com" if name == "email" else f"Lane 12 {CARD}"

    answer = shopper.submit(shopper.open_checkout() | {name: typed})

    assert answer.status == 422
    assert "4242" not in answer.text
    assert "There was a card number in this field." in answer.words
    assert name == "email" or "Lane 12" in answer.text  # the rest of what was typed is kept
    assert not Order.objects.exists()


def test_no_card_is_taken_and_no_address_refused_by_the_checkout() -> None:
    draw = random.Random("checkout")
    fields = ["full_name", "address", "city"]

    for _ in range(100):
        card = checkout_form(**{draw.choice(fields): text_with_card(draw)[1][:120]})
        address = checkout_form(**{draw.choice(fields): text_without_card(draw)[1][:120]})
        assert not card.is_valid()
        assert address.is_valid(), address.errors


def test_long_text_costs_little_and_is_refused_as_too_long() -> None:
    """Whoever sends a megabyte is not worked for."""
    form = checkout_form(city="4 " * 500_000)

    assert "at most 120 characters" in str(form.errors["city"])
    assert len(form.data["city"]) == LONGEST_SHOWN


def test_address_with_a_packstation_is_delivered_to(shopper: Shopper) -> None:
    """Side by side, its digits have the check digit of a card."""
    shopper.add_to_cart("SKU-01")
    address = "Packstation 145 1234567802"

    assert shopper.submit(shopper.open_checkout() | {"address": address}).status == 303
    assert Order.objects.get().address == address


@pytest.mark.parametrize(
    "path", ["/account/sign-up/", "/account/sign-in/", "/orders/find/", "/account/password/"]
)
def test_other_pages_show_none_again(shopper: Shopper, path: str) -> None:
    form = read_form(shopper.web.get(path).text, path)
    texts = {
        name: f"{CARD}@example.com" for name in form if name in {"email", "username", "number"}
    }
    assert texts

    answer = shopper.web.post(path, form | texts | {"password": "correct horse battery"})

    assert answer.status in {200, 422}
    assert "4242" not in answer.text
    assert "There was a card number" in answer.words


def test_api_names_the_field(shelf: Any) -> None:
    caller = new_caller()

    refused = caller.post(ORDERS, PURCHASE | {"full_name": f"Ada {CARD}"})

    assert refused.status == 422
    [error] = refused.json["errors"]
    assert error == {"pointer": "/full_name", "detail": str(CARD_NUMBER)}
    assert not Order.objects.exists()


def test_reasons_on_the_command_line_hold_none() -> None:
    with pytest.raises(ArgumentTypeError, match="card number"):
        reason(f"charged {CARD} by hand")


def test_no_line_of_the_log_holds_one() -> None:
    """Other packages write the addresses of pages into their sentences."""
    record = logging.LogRecord("x", logging.ERROR, "", 0, "Not Found: %s", (f"/{CARD}/",), None)
    line = JsonFormatter("{levelname}{message}", style="{").format(record)

    assert json.loads(line)["message"] == "Not Found: //"
