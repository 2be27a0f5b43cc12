"""Everything that is stored of a person comes out in one document."""

import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from checkout.orders.history import note_staff
from checkout.orders.models import Order
from tests.support.eventful_order import eventful_order
from tests.support.shopper import Shopper
from tests.support.till import Till

ADA = "ada@example.com"


def export(email: str, *more: str) -> str:
    out = io.StringIO()
    call_command("export_customer", email, *more, stdout=out)
    return out.getvalue()


@pytest.fixture
def order(shopper: Shopper, till: Till) -> Order:
    order = eventful_order(shopper, till)
    note_staff(order.pk, "Noted", by="grace", why="Called about a page", now=timezone.now())
    return order


def test_document_has_order_lines_mails_events_payments_and_account(
    order: Order, another_shopper: Shopper
) -> None:
    another_shopper.buy("SKU-02")
    user = User.objects.create_user("ada@example.com", ADA, "a long password")

    document: dict[str, Any] = json.loads(export("Ada@EXAMPLE.com", "--json"))

    [told] = document["orders"]
    assert (told["number"], told["full_name"]) == (order.number, "Ada Quillfeather")
    stored = {field.name for field in Order._meta.concrete_fields}
    assert stored <= told.keys()
    assert [line["sku"] for line in told["order"]["lines"]] == ["SKU-01"]
    assert {"payment_failed", "paid", "refunded"} <= {
        mail["kind"] for mail in told["order"]["mails"]
    }
    assert "Called about a page" in [event["explanation"] for event in told["order"]["events"]]
    [declined, paid] = told["payments"]
    assert (declined["status"], paid["status"]) == ("declined", "paid")
    assert paid["gateway_payment_id"]
    assert [refund["amount_minor"] for refund in paid["refunds"]] == [300]
    [account] = document["accounts"]
    assert account["email"] == user.email


def test_document_holds_no_secrets_and_no_names_of_staff(order: Order) -> None:
    user = User.objects.create_user("ada@example.com", ADA, "a long password")
    document = export(ADA, "--json")

    for hidden in (user.password, order.payments.all()[0].idempotency_key, "grace"):
        assert hidden not in document


def test_text_has_the_same_and_says_what_is_not_in_it(order: Order) -> None:
    text = export(ADA)

    assert "full name: Ada Quillfeather" in text
    assert "Carts and sessions: they name no address" in text


def test_orders_of_an_account_are_theirs_whatever_address_was_typed(order: Order) -> None:
    user = User.objects.create_user("lovelace@example.com", "lovelace@example.com", "a password")
    Order.objects.update(customer=user)

    [told] = json.loads(export("lovelace@example.com", "--json"))["orders"]

    assert told["number"] == order.number


def test_unknown_person_is_told_so(transactional_db: None) -> None:
    with pytest.raises(CommandError, match="Nothing is stored"):
        export("nobody@example.com")
