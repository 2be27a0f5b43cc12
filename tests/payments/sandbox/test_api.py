"""The sandbox as Stripe's own SDK sees it."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import stripe

from payments.sandbox import account
from payments.sandbox.server import SandboxServer
from tests.support.processes import eventually


@pytest.fixture
def client(sandbox: SandboxServer) -> stripe.StripeClient:
    return client_of(sandbox)


def client_of(server: SandboxServer, timeout_seconds: float = 60.0) -> stripe.StripeClient:
    return stripe.StripeClient(
        "sk_test_shop",
        base_addresses={"api": server.url},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=timeout_seconds),
    )


def opened(client: stripe.StripeClient, payment_method: str = "pm_card_visa") -> str:
    intent = client.v1.payment_intents.create(
        {
            "amount": 4200,
            "currency": "eur",
            "payment_method": payment_method,
            "metadata": {"order": "A-1001"},
        }
    )
    return intent.id


def charges(server: SandboxServer) -> list[dict[str, Any]]:
    answer = requests.get(f"{server.url}/sandbox/ledger", timeout=5).json()
    found: list[dict[str, Any]] = answer["charges"]
    return found


# --- PaymentIntents -----------------------------------------------------------------------------


def test_an_opened_intent_waits_for_confirmation(client: stripe.StripeClient) -> None:
    """Stripe docs, "How PaymentIntents work", Intent statuses."""
    intent = client.v1.payment_intents.retrieve(opened(client)).to_dict()

    assert intent.pop("id").startswith("pi_")
    assert intent.pop("client_secret").startswith("pi_")
    assert intent.pop("created") == pytest.approx(time.time(), abs=60)
    assert intent == {
        "object": "payment_intent",
        "amount": 4200,
        "amount_received": 0,
        "currency": "eur",
        "status": "requires_confirmation",
        "metadata": {"order": "A-1001"},
        "payment_method": "pm_card_visa",
        "last_payment_error": None,
        "next_action": None,
        "latest_charge": None,
        "livemode": False,
        "canceled_at": None,
        "capture_method": "automatic",
        "automatic_payment_methods": None,
        "payment_method_options": None,
        "amount_capturable": 0,
    }


def test_without_a_payment_method_it_waits_for_one(client: stripe.StripeClient) -> None:
    """Stripe docs, "How PaymentIntents work", Intent statuses."""
    intent = client.v1.payment_intents.create({"amount": 4200, "currency": "eur"})

    assert intent.status == "requires_payment_method"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.confirm(intent.id)
    assert caught.value.code == "payment_intent_unexpected_state"


def test_a_decline_is_a_402_with_the_intent(
    client: stripe.StripeClient, sandbox: SandboxServer
) -> None:
    """Stripe docs, "Error codes", card_declined, and "Declines"."""
    intent_id = opened(client, "pm_card_chargeDeclinedInsufficientFunds")

    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_intents.confirm(intent_id)

    error = caught.value.error
    assert caught.value.http_status == 402
    assert error is not None
    assert (error.code, error.decline_code) == ("card_declined", "insufficient_funds")
    assert error.payment_intent is not None
    assert error.payment_intent.status == "requires_payment_method"
    assert error.payment_intent.payment_method is None
    assert charges(sandbox) == []


def test_confirming_twice_is_an_error_that_tells_the_state(
    client: stripe.StripeClient, sandbox: SandboxServer
) -> None:
    """Stripe docs, "Error codes", payment_intent_unexpected_state."""
    intent_id = opened(client)
    client.v1.payment_intents.confirm(intent_id)

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.confirm(intent_id)

    assert caught.value.code == "payment_intent_unexpected_state"
    assert caught.value.error is not None
    assert caught.value.error.payment_intent is not None
    assert caught.value.error.payment_intent.status == "succeeded"
    assert len(charges(sandbox)) == 1


def test_a_cancelled_intent_stays_cancelled(client: stripe.StripeClient) -> None:
    """Stripe API reference, Cancel a PaymentIntent."""
    intent_id = opened(client)

    cancelled = client.v1.payment_intents.cancel(intent_id)

    assert cancelled.status == "canceled"
    assert cancelled.canceled_at is not None
    with pytest.raises(stripe.InvalidRequestError, match="status of canceled"):
        client.v1.payment_intents.cancel(intent_id)


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"payment_method": "pm_nobody"}, "resource_missing", "payment_method"),
        ({"amount": "12.50"}, "parameter_invalid_integer", "amount"),
        ({"amount": 0}, "parameter_invalid_integer", "amount"),
        ({"amount": 100_000_000}, "amount_too_large", "amount"),
        ({"amount": 49}, "amount_too_small", "amount"),
        ({"amount": 5124, "currency": "kwd"}, "invalid_charge_amount", "amount"),
        ({"amount": 550, "currency": "isk"}, "invalid_charge_amount", "amount"),
        ({"currency": "xxx"}, "invalid_currency", "currency"),
        ({"amount": ""}, "parameter_missing", "amount"),
        ({"currency": "euro"}, "invalid_currency", "currency"),
        ({"confirm": True}, "parameter_unknown", "confirm"),
        ({"capture_method": "manual"}, "parameter_invalid_string_value", "capture_method"),
        ({"payment_method_types": ["card"]}, "payment_method_types_no_longer_supported", None),
    ],
)
def test_a_bad_parameter_is_named(
    client: stripe.StripeClient, change: dict[str, Any], code: str, param: str | None
) -> None:
    """Stripe API reference, Errors. For the last: Stripe changelog, endive 2026-09-30."""
    params: Any = {"amount": 4200, "currency": "eur", "payment_method": "pm_card_visa"} | change

    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.create(params)

    assert (caught.value.http_status, caught.value.code) == (400, code)
    assert caught.value.param == param


def test_an_unknown_intent_is_a_404(client: stripe.StripeClient) -> None:
    """Stripe docs, "Error codes", resource_missing."""
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.retrieve("pi_nobody")

    assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")


def test_pages_follow_each_other(client: stripe.StripeClient) -> None:
    """Stripe API reference, Pagination: newest first, `starting_after` is exclusive."""
    ids = [opened(client) for _ in range(5)]

    page = client.v1.payment_intents.list({"limit": 2})
    everything = [intent.id for intent in page.auto_paging_iter()]

    assert [intent.id for intent in page.data] == ids[:2:-1]
    assert page.has_more
    assert everything == ids[::-1]


@pytest.mark.parametrize(
    ("params", "param"),
    [({"limit": 101}, "limit"), ({"starting_after": "pi_nobody"}, "starting_after")],
)
def test_a_bad_page_is_refused(
    client: stripe.StripeClient, params: dict[str, Any], param: str
) -> None:
    """Stripe API reference, Pagination."""
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.list(params)  # type: ignore[arg-type] # parameters that are wrong

    assert caught.value.param == param


# --- HTTP ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["sk_test_shop", "sk_live_shop", ""])
def test_the_key_may_be_a_basic_user_name(sandbox: SandboxServer, user: str) -> None:
    """Stripe API reference, Authentication."""
    answer = requests.get(f"{sandbox.url}/v1/payment_intents", auth=(user, ""), timeout=5)

    assert answer.status_code == (200 if user == "sk_test_shop" else 401)


@pytest.mark.parametrize("header", [None, "Bearer pk_test_shop", "Basic %%%", "sk_test_shop"])
def test_a_request_without_a_secret_key_is_a_401(
    sandbox: SandboxServer, header: str | None
) -> None:
    """Stripe API reference, Authentication."""
    headers = {"Authorization": header} if header else {}

    answer = requests.get(f"{sandbox.url}/v1/payment_intents", headers=headers, timeout=5)

    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_an_unknown_address_is_a_404(sandbox: SandboxServer) -> None:
    """Stripe API reference, Errors."""
    answer = requests.get(f"{sandbox.url}/v1/payouts", auth=("sk_test_shop", ""), timeout=5)

    assert answer.status_code == 404


def test_a_huge_request_is_turned_away(sandbox: SandboxServer) -> None:
    url = f"{sandbox.url}/v1/payment_intents"

    answer = requests.post(url, data="x" * 70_000, auth=("sk_test_shop", ""), timeout=5)

    assert answer.status_code == 413


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"7", b'{"advance_seconds": -1}', b'{"advance_seconds": "1"}']
)
def test_the_clock_only_takes_a_number(sandbox: SandboxServer, body: bytes) -> None:
    answer = requests.post(f"{sandbox.url}/sandbox/clock", data=body, timeout=5)

    assert answer.status_code == 400


# --- Charging once ------------------------------------------------------------------------------


@pytest.fixture
def _patient_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told to come again: what is looked at is who comes first."""
    monkeypatch.setattr(account, "LOCK_SECONDS", 60.0)


@pytest.mark.usefixtures("_patient_locks")
def test_sixteen_confirms_at_once_charge_once(ledger_path: Path) -> None:
    """Stripe docs, "Rate limits", Object lock timeouts: one request at a time on an object."""
    # The first one takes its time, so that all the others come while it has not charged yet.
    server = SandboxServer(ledger_path=ledger_path, slow_seconds=0.2)
    server.start()
    client = client_of(server)
    intent_id = opened(client, "pm_sandbox_slow")
    together = threading.Barrier(16)

    def confirm(number: int) -> str | None:
        together.wait()
        try:
            options: Any = {"idempotency_key": f"confirm-{number}"}
            return client.v1.payment_intents.confirm(intent_id, {}, options).status
        except stripe.InvalidRequestError as error:
            return error.code

    with ThreadPoolExecutor(16) as threads:
        answers = sorted(str(answer) for answer in threads.map(confirm, range(16)))

    assert answers == ["payment_intent_unexpected_state"] * 15 + ["succeeded"]
    assert ledger_path.read_text().count('"kind": "charged"') == 1
    assert [charge["payment_intent"] for charge in charges(server)] == [intent_id]
    server.stop()


@pytest.mark.usefixtures("_patient_locks")
def test_confirm_and_cancel_at_once_leave_one_of_the_two(
    client: stripe.StripeClient, sandbox: SandboxServer
) -> None:
    """Stripe docs, "How PaymentIntents work": succeeded and canceled are final."""
    for _ in range(10):
        intent_id = opened(client)
        together = threading.Barrier(2)

        def act(name: str, intent_id: str = intent_id, together: Any = together) -> bool:
            together.wait()
            try:
                getattr(client.v1.payment_intents, name)(intent_id)
            except stripe.InvalidRequestError:
                return False
            return True

        with ThreadPoolExecutor(2) as threads:
            confirmed, cancelled = threads.map(act, ["confirm", "cancel"])

        assert confirmed != cancelled
        charged = [charge["payment_intent"] for charge in charges(sandbox)]
        assert (intent_id in charged) == confirmed


def test_a_charge_is_in_the_ledger_with_its_order(
    client: stripe.StripeClient, sandbox: SandboxServer
) -> None:
    intent_id = opened(client)
    client.v1.payment_intents.confirm(intent_id)

    (charge,) = charges(sandbox)

    assert sorted(charge) == ["amount", "at", "currency", "order", "payment_intent"]
    assert charge["payment_intent"] == intent_id
    assert (charge["amount"], charge["currency"], charge["order"]) == (4200, "eur", "A-1001")


# --- Faults -------------------------------------------------------------------------------------


def test_a_slow_payment_is_approved_after_a_while(ledger_path: Path) -> None:
    server = SandboxServer(ledger_path=ledger_path, slow_seconds=0.3)
    server.start()
    client = client_of(server)
    intent_id = opened(client, "pm_sandbox_slow")
    began = time.monotonic()

    intent = client.v1.payment_intents.confirm(intent_id)

    assert intent.status == "succeeded"
    assert time.monotonic() - began >= 0.3
    server.stop()


def test_a_slow_payment_is_charged_although_the_client_left(
    ledger_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = SandboxServer(ledger_path=ledger_path)
    client_left = threading.Event()
    monkeypatch.setattr(server.account, "_pause", lambda _: client_left.wait())
    server.start()
    intent_id = opened(client_of(server), "pm_sandbox_slow")

    with pytest.raises(stripe.APIConnectionError):
        client_of(server, timeout_seconds=0.2).v1.payment_intents.confirm(intent_id)

    assert charges(server) == []
    client_left.set()
    eventually(lambda: len(charges(server)) == 1, what="the charge")
    server.stop()


def test_silence_ends_by_itself(ledger_path: Path) -> None:
    server = SandboxServer(ledger_path=ledger_path, silent_seconds=0.2)
    server.start()
    client = client_of(server)
    intent_id = opened(client, "pm_sandbox_timeout_after_charge")

    with pytest.raises(stripe.APIConnectionError, match="without response"):
        client.v1.payment_intents.confirm(intent_id)

    assert len(charges(server)) == 1
    server.stop()


def test_a_stop_does_not_wait_for_a_slow_payment_and_charges_nothing(ledger_path: Path) -> None:
    server = SandboxServer(ledger_path=ledger_path, slow_seconds=60)
    server.start()
    client = client_of(server)
    intent_id = opened(client, "pm_sandbox_slow")
    began = time.monotonic()

    with ThreadPoolExecutor(1) as threads:
        confirming = threads.submit(client.v1.payment_intents.confirm, intent_id)
        time.sleep(0.2)
        server.stop()
        with pytest.raises(stripe.APIConnectionError):
            confirming.result()

    assert time.monotonic() - began < 30
    assert '"charged"' not in ledger_path.read_text()


def test_way_to_pay_that_was_not_allowed_is_refused(client: stripe.StripeClient) -> None:
    """Stripe docs, "Error codes", payment_intent_incompatible_payment_method."""
    with pytest.raises(stripe.InvalidRequestError) as caught:
        opened(client, "pm_sepaDebit")

    assert caught.value.code == "payment_intent_incompatible_payment_method"


def test_token_wants_stripes_script_unless_it_is_told_otherwise(
    client: stripe.StripeClient,
) -> None:
    """Stripe API reference, The ConfirmationToken object, use_stripe_sdk."""
    intent = client.v1.payment_intents.create(
        {"amount": 4200, "currency": "eur", "automatic_payment_methods": {"enabled": True}}
    )

    asking = client.v1.payment_intents.confirm(
        intent.id,
        {"confirmation_token": "ctoken_1_paypal", "return_url": "https://shop.example/"},
    )

    assert asking.next_action is not None
    assert asking.next_action.type == "use_stripe_sdk"


def test_caller_who_dies_in_the_middle_of_a_call_has_not_called(sandbox: SandboxServer) -> None:
    address = urlsplit(sandbox.url)
    assert address.hostname
    assert address.port
    body = b"amount=100&currency=eur"
    head = (
        "POST /v1/payment_intents HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer sk_test_shop"
        f"\r\nIdempotency-Key: cut\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()

    with socket.create_connection((address.hostname, address.port), timeout=30) as wire:
        wire.sendall(head)
        wire.shutdown(socket.SHUT_WR)

        assert wire.recv(1) == b""

    with socket.create_connection((address.hostname, address.port), timeout=30) as wire:
        wire.sendall(head + body)

        assert wire.recv(12) == b"HTTP/1.1 200", "the key was not used up"
