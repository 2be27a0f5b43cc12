"""Discount codes made by the hundred, on the command line."""

import json
import math
import re
from datetime import date
from decimal import Decimal
from io import StringIO
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command

from checkout.catalogue.models import DiscountCode
from checkout.catalogue.rules import codes as making
from checkout.catalogue.rules.codes import ALPHABET, GROUPS, new_code

pytestmark = pytest.mark.django_db


def make(*arguments: str) -> str:
    out = StringIO()
    call_command("make_codes", *arguments, stdout=out)
    return out.getvalue()


def values(*names: str) -> list[tuple[Any, ...]]:
    return list(DiscountCode.objects.values_list(*names))


def test_one_code_of_one_order_is_made_where_nothing_else_is_said() -> None:
    printed = make("--percent", "10")

    assert values("code", "kind", "percent", "limit", "per_customer", "is_on", "used") == [
        (printed.strip(), "percent", Decimal(10), 1, None, True, 0)
    ]


def test_every_argument_is_stored() -> None:
    make(
        *("--amount", "5.50", "--count", "2", "--limit", "3", "--per-customer", "1"),
        *("--from", "2026-12-01", "--until", "2099-12-31", "--least-goods", "40"),
        *("--prefix", "xmas", "--note", "Fair in Cork"),
    )

    names = ("kind", "amount_minor", "limit", "per_customer", "starts_on", "ends_on", "note")
    row = ("amount", 550, 3, 1, date(2026, 12, 1), date(2099, 12, 31), "Fair in Cork")
    assert values(*names, "least_goods_minor") == [(*row, 4000)] * 2
    assert all(code.startswith("XMAS-") for (code,) in values("code"))


def test_free_delivery_in_batches_prints_one_code_a_line() -> None:
    with patch.object(making, "BATCH", 400):
        lines = make("--free-delivery", "--count", "1001").splitlines()

    assert sorted(lines) == sorted(code for (code,) in values("code"))
    assert len(set(lines)) == 1001
    assert {kind for (kind,) in values("kind")} == {"free_delivery"}


def test_json_is_a_list() -> None:
    assert json.loads(make("--percent", "5", "--count", "3", "--json")) == [
        code for (code,) in DiscountCode.objects.order_by("id").values_list("code")
    ]


def test_nobody_guesses_a_code_and_everybody_can_read_it_out() -> None:
    assert math.log2(len(ALPHABET)) * sum(GROUPS) >= 60
    assert not {*ALPHABET} & {*"01OIL"}
    assert re.fullmatch(f"[{ALPHABET}]{{5}}-[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}", new_code())
    assert len(new_code("X" * making.LONGEST_PREFIX)) <= 40


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "one of the arguments --percent --amount --free-delivery is required"),
        (["--percent", "10", "--amount", "5"], "not allowed with argument"),
        (["--percent", "0"], "above 0 and up to 100"),
        (["--percent", "101"], "above 0 and up to 100"),
        (["--percent", "10%"], "above 0 and up to 100"),
        (["--amount", "0"], "More than nothing"),
        (["--amount", "1.234"], "could mean"),
        (["--amount", "-5"], "expected one argument|without a minus"),
        (["--percent", "5", "--count", "0"], "not a whole number from 1"),
        (["--percent", "5", "--limit", "0"], "not a whole number from 1"),
        (["--percent", "5", "--until", "tomorrow"], "not a day such as 2026-12-31"),
        (["--percent", "5", "--until", "2026-02-30"], "not a day such as 2026-12-31"),
        (["--percent", "5", "--until", "2020-01-01"], "has passed"),
        (["--percent", "5", "--from", "2099-02-01", "--until", "2099-01-01"], "before the first"),
        (["--percent", "5", "--prefix", "two words"], "A prefix is 1 to 24"),
        (["--percent", "5", "--note", "4242 4242 4242 4242"], "card number"),
    ],
)
def test_wrong_argument_is_told_and_stores_nothing(arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        make(*arguments)

    assert not DiscountCode.objects.exists()


def test_failure_in_a_later_batch_stores_none() -> None:
    drawn = iter(["AAAAA-AAAA-AAAA", "BBBBB-BBBB-BBBB", "AAAAA-AAAA-AAAA"])

    with (
        patch.object(making, "BATCH", 1),
        patch.object(making, "new_code", lambda _: next(drawn)),
        pytest.raises(Exception, match="catalogue_discountcode_code"),
    ):
        make("--percent", "5", "--count", "3")

    assert not DiscountCode.objects.exists()
