"""Log lines are one JSON object each, and hold nothing personal and no secret."""

import json
import logging
from typing import Any

import pytest
from django.db import IntegrityError
from django.test import Client

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from config.logging import JsonFormatter
from tests.orders.factories import placed_order


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
