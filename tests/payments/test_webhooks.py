"""A webhook is a hint: signed, stored once, answered at once, and believed by nobody."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.identity.matching import identity_of
from checkout.orders.models import Order, OutboxMessage
from payments.gateways.stripe.metadata import metadata_of
from payments.models import Payment, WebhookEvent
from tests.support.factories import placed_order
from tests.support.long import long
from tests.support.till import Charge, Till

URL = "/payments/webhooks/stripe/"
SECRET = "whsec_of_the_tests"


@pytest.fixture(autouse=True)
def _secret(settings: Settings) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = [SECRET, "whsec_that_comes_next"]


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    return placed_order(shelf[0])


def event(about: dict[str, object], *, kind: str = "payment_intent.succeeded") -> bytes:
    content = {
        "id": f"evt_{secrets.token_hex(8)}",
        "object": "event",
        "type": kind,
        "data": {"object": about},
    }
    return json.dumps(content).encode()


def signature(body: bytes, *, secret: str = SECRET, age_seconds: int = 0) -> str:
    at = int(timezone.now().timestamp()) - age_seconds
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={signed.hexdigest()},v0=ignored"


def send(body: bytes, header: str | None = None) -> int:
    """As the gateway does: no cookie, no CSRF token."""
    answer = Client(enforce_csrf_checks=True).post(
        URL,
        body,
        content_type="application/json",
        headers={"Stripe-Signature": signature(body) if header is None else header},
    )
    return answer.status_code


def test_event_is_stored_with_a_message_to_the_worker(order: Order, till: Till) -> None:
    till.settle(order)
    payment = Payment.objects.get()

    assert send(event({"id": payment.gateway_payment_id})) == 200

    stored = WebhookEvent.objects.get()
    assert (stored.kind, stored.order) == ("payment_intent.succeeded", order)
    assert order.outbox_messages.filter(kind="check_payment").count() == 1


@pytest.mark.parametrize(
    "about",
    [
        lambda order: {"id": "pi_unknown", "metadata": metadata_of(identity_of(order))},
        lambda order: {
            "id": "ch_1",
            "payment_intent": order.payments.get().gateway_payment_id,
        },
    ],
    ids=["by what names the order", "by the charge's payment"],
)
def test_event_finds_its_order(
    order: Order, till: Till, about: Callable[[Order], dict[str, object]]
) -> None:
    till.settle(order)

    send(event(about(order)))

    assert WebhookEvent.objects.get().order == order


def test_same_event_twice_is_one(order: Order) -> None:
    body = event({"metadata": metadata_of(identity_of(order))})

    assert [send(body) for _ in range(3)] == [200, 200, 200]

    assert WebhookEvent.objects.count() == 1
    assert order.outbox_messages.filter(kind="check_payment").count() == 1


def test_event_of_somebody_else_is_stored_and_asks_for_nothing(order: Order) -> None:
    assert send(event({"id": "pi_of_another_shop", "metadata": {"order": "1-23"}})) == 200

    assert WebhookEvent.objects.get().order is None
    assert not OutboxMessage.objects.filter(kind="check_payment").exists()


@pytest.mark.parametrize(
    "header",
    [
        lambda body: "",
        lambda body: "nonsense",
        lambda body: signature(body, secret="whsec_guessed"),
        lambda body: signature(body + b" "),
        lambda body: signature(body, age_seconds=330),
        lambda body: signature(body, age_seconds=-330),
        lambda body: signature(body).partition(",")[2],
        lambda body: "t=1" + signature(body)[1:],
        lambda body: signature(body).replace("v1=", "v0="),
        lambda body: "t=" + "9" * 400 + signature(body),
    ],
    ids=[
        "none",
        "nonsense",
        "other secret",
        "other body",
        "stale",
        "from the future",
        "no time",
        "other time",
        "other scheme",
        "absurd time",
    ],
)
def test_forged_or_stale_event_is_refused_and_changes_nothing(
    order: Order, header: Callable[[bytes], str]
) -> None:
    body = event({"metadata": metadata_of(identity_of(order))})

    assert send(body, header(body)) == 400

    assert not WebhookEvent.objects.exists()


def test_both_secrets_are_good_while_one_replaces_the_other(order: Order) -> None:
    body = event({"metadata": metadata_of(identity_of(order))})

    assert send(body, signature(body, secret="whsec_that_comes_next")) == 200


def test_without_a_secret_nothing_is_believed(order: Order, settings: Settings) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = []
    body = event({"metadata": metadata_of(identity_of(order))})

    assert send(body, signature(body, secret="")) == 400


def test_oversized_event_is_refused(order: Order) -> None:
    body = event({"metadata": metadata_of(identity_of(order)), "padding": "x" * 65_536})

    assert send(body) == 413

    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"id": 1, "type": "x", "data": {"object": {}}}',
        b'{"id": "evt", "type": "x", "data": {"object": 3}}',
        b"[" * 5000,
        b"\xff\xfe",
    ],
    ids=["nothing", "list", "null", "empty", "id no text", "object no object", "deep", "no UTF-8"],
)
def test_signed_nonsense_is_refused(db: None, body: bytes) -> None:
    assert send(body) == 400

    assert not WebhookEvent.objects.exists()


def test_event_before_the_workers_own_commit_changes_nothing(order: Order, till: Till) -> None:
    send(event({"metadata": metadata_of(identity_of(order))}))

    till.deliver_messages()

    order.refresh_from_db()
    assert order.status == "paid"
    assert till.charges() == [Charge(order.number, order.total_minor, "EUR")]


def test_claim_of_a_charge_that_never_was_pays_nothing(shelf: list[Product], till: Till) -> None:
    order = placed_order(shelf[0], payment_method="pm_card_chargeDeclined")
    till.settle(order)

    send(event({"id": order.payments.get().gateway_payment_id, "status": "succeeded"}))
    till.deliver_messages()

    order.refresh_from_db()
    assert order.status == "payment_failed"
    assert till.charges() == []


KINDS = [
    "payment_intent.created",
    "payment_intent.processing",
    "payment_intent.payment_failed",
    "payment_intent.succeeded",
    "charge.refunded",
]


in_any_order = given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=6),
    deliveries=st.sets(st.integers(min_value=0, max_value=6)),
    method=st.sampled_from(
        ["pm_card_visa", "pm_card_chargeDeclined", "pm_sandbox_error_after_charge"]
    ),
)


def examples(count: int) -> example_settings:
    calm = [HealthCheck.function_scoped_fixture]
    return example_settings(max_examples=count, deadline=None, suppress_health_check=calm)


@examples(12)
@in_any_order
def test_events_in_any_order_and_number_end_in_the_gateways_word(
    shelf: list[Product], till: Till, kinds: list[str], deliveries: set[int], method: str
) -> None:
    assert_gateways_word_is_the_last(shelf, till, kinds, deliveries, method)


@long
@examples(60)
@in_any_order
def test_many_events_in_any_order_and_number_end_in_the_gateways_word(
    shelf: list[Product], till: Till, kinds: list[str], deliveries: set[int], method: str
) -> None:
    assert_gateways_word_is_the_last(shelf, till, kinds, deliveries, method)


def assert_gateways_word_is_the_last(
    shelf: list[Product],
    till: Till,
    kinds: list[str],
    deliveries: set[int],
    method: str,
) -> None:
    """`deliveries` are the places between the events at which the worker gets to work."""
    order = placed_order(shelf[0], payment_method=method)
    for place, kind in enumerate(kinds):
        if place in deliveries:
            till.deliver_messages()
        body = event({"metadata": metadata_of(identity_of(order))}, kind=kind)
        assert send(body) == send(body) == 200
    till.deliver_messages()

    order.refresh_from_db()
    charges = [charge for charge in till.charges() if charge.order == order.number]
    if method == "pm_card_chargeDeclined":
        assert (order.status, charges) == ("payment_failed", [])
    else:
        assert order.status == "paid"
        assert charges == [Charge(order.number, order.total_minor, "EUR")]
    moves = order.events.filter(kind="transition").values_list("to_status", flat=True)
    assert list(moves) == ["placed", order.status]


def test_late_delivery_after_days_is_refused_by_its_signature(order: Order) -> None:
    """Stripe signs a repeated delivery anew, so an old signature is a replay."""
    body = event({"metadata": metadata_of(identity_of(order))})
    days = int(timedelta(days=3).total_seconds())

    assert send(body, signature(body, age_seconds=days)) == 400
    assert send(body) == 200
