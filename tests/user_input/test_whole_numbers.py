"""Whole numbers are typed in the digits 0 to 9, wherever people type them."""

import ast
from argparse import ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from checkout.models import CartLine
from checkout.user_input.whole_numbers import (
    WholeNumberField,
    seconds_argument,
    whole_argument,
    whole_number,
)
from tests.support.shopper import Answer, Shopper, read_form

ROOT = Path(__file__).resolve().parents[2]

# Each of them is a number to Python, to Django or to somebody.
OTHER = [
    "1_0",
    "１０",
    "١٠",
    "+1",
    "-1",
    "1.0",
    "1,0",
    "1e1",
    "0x1",
    "1 0",
    "²",
    "½",
    "nan",
    "9" * 19,
]


@pytest.mark.parametrize("typed", OTHER)
def test_anything_but_digits_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="not a whole number"):
        whole_number(typed)
    with pytest.raises(ValidationError, match="digits 0 to 9"):
        WholeNumberField().clean(typed)
    with pytest.raises(ArgumentTypeError, match="is not a whole number of at least 0"):
        whole_argument()(typed)


@pytest.mark.parametrize(
    ("typed", "number"), [("0", 0), (" 12 ", 12), ("007", 7), ("9" * 18, 10**18 - 1)]
)
def test_digits_are_a_number(typed: str, number: int) -> None:
    assert (
        whole_number(typed) == WholeNumberField().clean(typed) == whole_argument()(typed) == number
    )


@pytest.mark.parametrize("typed", ["nan", "inf", "1e3", "1_0", "-1", "+1", "1,5", ""])
def test_seconds_are_a_plain_decimal(typed: str) -> None:
    """A health check of `--max-age nan` would never fail."""
    assert seconds_argument("0.5") == 0.5

    with pytest.raises(ArgumentTypeError, match=r"such as 90 or 0\.5"):
        seconds_argument(typed)


def post(shopper: Shopper, action: str, quantity: str) -> Answer:
    page = {"/cart/add/": "/", "/cart/change/": "/cart/"}[action]
    fields = read_form(shopper.web.get(page).text, action)
    return shopper.web.post(action, fields | {"sku": "SKU-01", "quantity": quantity})


def in_cart() -> list[int]:
    return list(CartLine.objects.values_list("quantity", flat=True))


@pytest.mark.parametrize("typed", ["0", "00", "", " ", "100", *OTHER])
def test_other_quantities_add_nothing_and_are_told(shopper: Shopper, typed: str) -> None:
    answer = post(shopper, "/cart/add/", typed)

    assert answer.status == 400
    assert "A quantity is a whole number from 1 to 99." in answer.words
    assert in_cart() == []


@pytest.mark.parametrize("typed", ["", " ", "100", *OTHER])
def test_other_quantities_change_nothing_and_are_told(shopper: Shopper, typed: str) -> None:
    shopper.add_to_cart("SKU-01", 3)

    answer = post(shopper, "/cart/change/", typed)

    assert answer.status == 400
    assert "Your cart is as it was" in answer.words
    assert in_cart() == [3]


def test_quantity_is_what_was_typed(shopper: Shopper) -> None:
    assert post(shopper, "/cart/add/", " 2 ").status == 303
    assert in_cart() == [2]
    assert post(shopper, "/cart/change/", "07").status == 303
    assert in_cart() == [7]
    assert post(shopper, "/cart/change/", "0").status == 303
    assert in_cart() == []


@pytest.mark.parametrize(
    "command",
    [
        ["create_api_client", "app", "--expires", "1_0"],
        ["create_api_client", "app", "--expires", "0"],
        ["withdraw_api_token", "app", "--id", "１０"],
        ["webhook_endpoints", "rotate", "1_0"],
        ["check_worker", "--alive-file", "alive", "--max-age", "nan"],
        ["run_mailer", "--metrics-port", "90_90"],
        ["run_mailer", "--metrics-port", "65536"],
        ["run_payment_worker", "--threads", "1_0"],
        ["run_payment_worker", "--processes", "0"],
        ["run_payment_worker", "--wait-seconds", "1_0"],
        ["run_sandbox_gateway", "--port", "80_80"],
    ],
    ids=" ".join,
)
def test_commands_refuse_other_numbers_by_name(command: list[str]) -> None:
    with pytest.raises(CommandError, match=r"argument .*is not a"):
        call_command(*command)


def loose_readers() -> Iterator[str]:
    """Arguments of commands and fields of forms that Python or Django would read."""
    for package in ("checkout", "payments"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.parts[-2:] == ("user_input", "whole_numbers.py"):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.keyword(arg="type", value=ast.Name(id="int" | "float" as name)):
                        yield f"{path.relative_to(ROOT)}: type={name}"
                    case ast.Attribute(
                        value=ast.Name(id="forms"),
                        attr="IntegerField" | "DecimalField" | "FloatField" as name,
                    ):
                        yield f"{path.relative_to(ROOT)}: forms.{name}"


def test_no_number_is_read_in_another_way() -> None:
    assert [*loose_readers()] == []
