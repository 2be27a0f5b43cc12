"""Log lines are one JSON object each, and hold nothing personal and no secret."""

import ast
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError
from django.test import Client

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from config.logging import JsonFormatter
from tests.support.factories import placed_order

ROOT = Path(__file__).resolve().parents[2]

LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


def formatted(record: logging.LogRecord) -> dict[str, Any]:
    formatter = JsonFormatter("{asctime}{levelname}{name}{message}", style="{")
    line = formatter.format(record)
    assert "\n" not in line
    content: dict[str, Any] = json.loads(line)
    return content


def test_error_of_the_database_is_logged_without_its_values(
    shelf: list[Product], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = placed_order(shelf[0]), placed_order(shelf[0])
    try:
        Order.objects.filter(pk=second.pk).update(reference=first.reference)
    except IntegrityError:
        logging.getLogger("test").exception("It failed", extra={"order": second.number})

    [record] = [record for record in caplog.records if record.name == "test"]
    line = json.dumps(formatted(record))

    assert "IntegrityError" in line
    assert second.number in line
    assert first.reference not in line  # Postgres quotes it in the error's detail


def test_request_is_never_part_of_a_line(client: Client) -> None:
    record = logging.LogRecord("django.request", logging.ERROR, "", 0, "Failed", (), None)
    record.request = client

    assert "request" not in formatted(record)


# Its two sentences begin with what each caller says that it does, which has to be fixed as well.
LOOP = "checkout/runtime/loop.py"


def calls_in_our_code(word: str) -> Iterator[tuple[str, ast.Call]]:
    """It goes through every file in which this word is."""
    for package in ("config", "checkout", "payments"):
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text()
            for node in ast.walk(ast.parse(text)) if word in text else ():
                if isinstance(node, ast.Call):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def logger_calls() -> Iterator[tuple[str, ast.Call]]:
    return ((place, call) for place, call in calls_in_our_code("log") if is_logging(call.func))


def is_logging(called: ast.expr) -> bool:
    return (
        isinstance(called, ast.Attribute)
        and called.attr in LEVELS
        and isinstance(called.value, ast.Name)
        and called.value.id in {"logger", "log", "logging"}
    )


def is_a_fixed_sentence(call: ast.Call) -> bool:
    """One literal and nothing to fill into it. `log` is told the level first."""
    said = (
        call.args[1:]
        if isinstance(call.func, ast.Attribute) and call.func.attr == "log"
        else (call.args)
    )
    return len(said) == 1 and isinstance(said[0], ast.Constant) and "%" not in str(said[0].value)


def test_every_line_is_a_fixed_sentence_with_fields() -> None:
    calls = dict(logger_calls())

    assert len(calls) > 30
    wrong = [place for place, call in calls.items() if not is_a_fixed_sentence(call)]
    assert [place for place in wrong if not place.startswith(LOOP)] == []
    assert len(wrong) == 2


def test_what_a_loop_says_that_it_does_is_fixed() -> None:
    doing = [
        word.value
        for _, call in calls_in_our_code("run_loop")
        if isinstance(call.func, ast.Name) and call.func.id == "run_loop"
        for word in call.keywords
        if word.arg == "doing"
    ]

    assert len(doing) == 4
    assert all(isinstance(said, ast.Constant) and "%" not in str(said.value) for said in doing)


@pytest.mark.parametrize(
    "line",
    [
        'logger.info(f"{what} failed")',
        'logger.info("%s failed", what)',
        'logger.info("%s failed" % what)',
        'logger.info("{} failed".format(what))',
        'logger.info("Failed: " + what)',
        "logger.info(what)",
        "logger.log(logging.INFO, what)",
    ],
)
def test_the_walk_finds_a_sentence_with_values(line: str) -> None:
    [call] = [node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Call)][:1]

    assert is_logging(call.func)
    assert not is_a_fixed_sentence(call)
