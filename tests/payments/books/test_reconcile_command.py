"""The command tells what differs, asks before it repairs, and exits with 1 if anything remains."""

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from payments.books.compare import (
    PAID_NOT_CHARGED,
    WRONG_AMOUNT,
)
from payments.gateways.base import (
    GatewayPayment,
    OutcomeUnknown,
)
from payments.gateways.example.client import ExampleGateway
from tests.support.books_that_differ import (
    charge_another_amount,
    charge_unheard,
    forget,
    paid_order,
)
from tests.support.till import only


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def run(*arguments: str, err: StringIO | None = None) -> str:
    out = StringIO()
    call_command("reconcile_payments", *arguments, stdout=out, stderr=err or StringIO())
    return out.getvalue()


@pytest.fixture
def command_gateway(gateway: ExampleGateway, monkeypatch: pytest.MonkeyPatch) -> ExampleGateway:
    monkeypatch.setattr(
        "payments.management.commands.reconcile_payments.Gateways.load", lambda: only(gateway)
    )
    return gateway


def test_command_says_that_the_books_agree(
    shelf: list[Product], command_gateway: ExampleGateway
) -> None:
    paid_order(shelf[0], command_gateway)

    assert run().startswith("0 differences since ")
    assert json.loads(run("--json"))["differences"] == []


def test_command_names_what_differs_and_exits_with_1(
    shelf: list[Product], command_gateway: ExampleGateway
) -> None:
    payment = paid_order(shelf[0], command_gateway)
    charge_another_amount(payment, command_gateway)
    out = StringIO()

    with pytest.raises(CommandError, match="1 differences are for a person") as raised:
        call_command("reconcile_payments", stdout=out)

    assert raised.value.returncode == 1
    for said in (payment.order.number, payment.gateway_payment_id, "paid €10.01", "paid €10.02"):
        assert said in out.getvalue()
    assert WRONG_AMOUNT in out.getvalue()


def test_json_tells_each_side_in_minor_units(
    shelf: list[Product], command_gateway: ExampleGateway
) -> None:
    payment = paid_order(shelf[0], command_gateway)
    forget(payment, command_gateway)
    out = StringIO()

    with pytest.raises(CommandError):
        call_command("reconcile_payments", "--json", stdout=out)

    report = json.loads(out.getvalue())
    assert report["remaining"] == 1
    assert report["differences"] == [
        {
            "kind": PAID_NOT_CHARGED,
            "order": payment.order.number,
            "gateway_id": payment.gateway_payment_id,
            "here": {"state": "paid", "amount_minor": 1001, "currency": "EUR"},
            "there": None,
            "reference": "",
            "gateway": "stripe",
            "repair": "",
            "remains": True,
        }
    ]


def test_command_does_not_repair_without_asking_where_nobody_can_answer(
    shelf: list[Product], command_gateway: ExampleGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge_unheard(paid_order(shelf[0], command_gateway), command_gateway)
    monkeypatch.setattr(sys, "stdin", StringIO("y\n"))

    with pytest.raises(CommandError, match="Nobody to ask") as raised:
        run("--repair")

    assert raised.value.returncode == 2
    assert Order.objects.get().status == "payment_failed"


def test_command_repairs_without_asking_when_told(
    shelf: list[Product], command_gateway: ExampleGateway
) -> None:
    charge_unheard(paid_order(shelf[0], command_gateway), command_gateway)

    assert "recorded" in run("--repair", "--yes")

    assert Order.objects.get().status == "paid"
    assert run("--repair", "--yes").startswith("0 differences")


@pytest.mark.parametrize(
    ("answer", "status"), [("y\n", "paid"), ("\n", "payment_failed"), ("", "payment_failed")]
)
def test_command_shows_what_it_found_and_does_as_it_is_answered(
    shelf: list[Product],
    command_gateway: ExampleGateway,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    status: str,
) -> None:
    payment = paid_order(shelf[0], command_gateway)
    charge_unheard(payment, command_gateway)
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    out, err = StringIO(), StringIO()

    exit_code = 0
    try:
        call_command("reconcile_payments", "--repair", "--json", stdout=out, stderr=err)
    except CommandError as error:
        exit_code = error.returncode

    assert (Order.objects.get().status, exit_code) == (status, 0 if status == "paid" else 1)
    assert payment.order.number in err.getvalue()
    assert err.getvalue().endswith("Repair 1 of 1 differences? [y/N] ")
    assert json.loads(out.getvalue())["remaining"] == exit_code


def test_command_does_not_ask_when_nothing_is_safe(
    shelf: list[Product], command_gateway: ExampleGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(paid_order(shelf[0], command_gateway), command_gateway)
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    err = StringIO()

    with pytest.raises(CommandError, match="for a person"):
        run("--repair", err=err)

    assert err.getvalue() == ""


def test_progress_is_shown_on_a_terminal_alone(
    shelf: list[Product], command_gateway: ExampleGateway
) -> None:
    paid_order(shelf[0], command_gateway)
    terminal, pipe = Terminal(), StringIO()

    run(err=terminal)
    run(err=pipe)

    assert "1 compared" in terminal.getvalue()
    assert pipe.getvalue() == ""


def test_gateway_that_does_not_answer_is_not_taken_for_books_that_agree(
    db: None, command_gateway: ExampleGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(since: datetime) -> Iterator[GatewayPayment]:
        raise OutcomeUnknown("timeout")

    monkeypatch.setattr(command_gateway, "list_since", silent)

    with pytest.raises(CommandError, match="could not be asked"):
        run()


@pytest.mark.parametrize(
    "since", ["yesterday", "12", "2026-13-01", "h", "999999d", "0001-01-01", "2999-01-01", "0h"]
)
def test_since_that_cannot_be_read_is_said(command_gateway: ExampleGateway, since: str) -> None:
    with pytest.raises(CommandError, match="--since"):
        run("--since", since)


@pytest.mark.parametrize("since", ["36h", "14d", "2026-11-01"])
def test_since_is_read(db: None, command_gateway: ExampleGateway, since: str) -> None:
    assert "differences since" in run("--since", since)
