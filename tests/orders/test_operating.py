"""What the operators' commands have in common, and the one that has no file of its own."""

import getpass
import json
from argparse import ArgumentTypeError
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command, get_commands, load_command_class
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox import sweep
from checkout.runtime.terminal import age, aligned, span, who_runs_this
from tests.support.factories import placed_order

OPERATE = [
    "audit_orders",
    "ensure_queues",
    "expire_orders",
    "pause_payments",
    "prune_outbox",
    "queue_status",
    "reconcile_payments",
    "requeue_orders",
    "resume_payments",
]


@pytest.mark.parametrize("name", OPERATE)
def test_every_command_answers_in_json_and_explains_each_option(name: str) -> None:
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)

    options = {action.dest: action.help for action in parser._actions}

    assert options["json"]
    assert [option for option, explained in options.items() if not explained] == []
    assert parser.description
    assert len(parser.description) > 60


@pytest.mark.parametrize(
    ("seconds", "read"),
    [
        (-1, "0 s"),
        (45.9, "45 s"),
        (60, "1 min"),
        (3 * 3600 + 5 * 60, "3 h 5 min"),
        (2 * 86400 + 4 * 3600, "2 d 4 h"),
    ],
)
def test_ages_are_read_by_people(seconds: float, read: str) -> None:
    assert age(seconds) == read


def test_spans_are_written_by_people() -> None:
    assert [span("90s"), span("15m"), span("36h"), span("30d")] == [
        timedelta(seconds=90),
        timedelta(minutes=15),
        timedelta(hours=36),
        timedelta(days=30),
    ]


@pytest.mark.parametrize("written", ["", "15", "m", "0m", "-1h", "1w", "1.5h", "1h ", "9999999d"])
def test_span_that_cannot_be_read_is_said(written: str) -> None:
    with pytest.raises(ArgumentTypeError):
        span(written)


def test_columns_are_as_wide_as_they_need() -> None:
    assert aligned([("a", "bb"), ("cccc", "")]) == ["a     bb", "cccc"]


def test_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError

    monkeypatch.setattr(getpass, "getuser", nameless)

    assert who_runs_this().startswith("user ")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_expire_orders_hands_over_all_and_tells_how_far_it_is(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "AT_MOST", 2)
    for _ in range(3):
        placed_order(shelf[0])
    Order.objects.update(
        status="payment_failed", sweep_at=None, expires_at=timezone.now() - timedelta(minutes=1)
    )
    out, terminal = StringIO(), Terminal()

    call_command("expire_orders", "--json", stdout=out, stderr=terminal)

    assert json.loads(out.getvalue()) == {"expired": 3}
    assert "2 orders handed over" in terminal.getvalue()
    assert OutboxMessage.objects.filter(kind="cancel_order").count() == 3
    pipe = StringIO()
    call_command("expire_orders", stdout=out, stderr=pipe)
    assert pipe.getvalue() == ""
