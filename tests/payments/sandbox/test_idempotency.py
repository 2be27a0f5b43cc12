"""Idempotency keys at the sandbox, by the rules Stripe documents for its own."""

from typing import Any

import pytest
import requests
import stripe

from payments.sandbox.server import SandboxServer

DAY_SECONDS = 24 * 60 * 60


@pytest.fixture
def client(sandbox: SandboxServer) -> stripe.StripeClient:
    return stripe.StripeClient(
        "sk_test_shop",
        base_addresses={"api": sandbox.url},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=5.0),
    )


def opened(
    client: stripe.StripeClient,
    payment_method: str = "pm_card_visa",
    *,
    key: str = "open-1",
    amount: int = 4200,
) -> stripe.PaymentIntent:
    return client.v1.payment_intents.create(
        {"amount": amount, "currency": "eur", "payment_method": payment_method},
        {"idempotency_key": key},
    )


def confirmed(client: stripe.StripeClient, intent_id: str, key: str) -> stripe.PaymentIntent:
    return client.v1.payment_intents.confirm(intent_id, {}, {"idempotency_key": key})


def was_replayed(answer: stripe.PaymentIntent | stripe.StripeError) -> bool:
    if isinstance(answer, stripe.StripeError):
        headers: Any = answer.headers
    else:
        assert answer.last_response is not None
        headers = answer.last_response.headers
    return bool(headers.get("Idempotent-Replayed") == "true")


def advance(sandbox: SandboxServer, seconds: float) -> None:
    requests.post(
        f"{sandbox.url}/sandbox/clock", json={"advance_seconds": seconds}, timeout=5
    ).raise_for_status()


def test_a_repeated_request_gets_the_first_answer(
    client: stripe.StripeClient, sandbox: SandboxServer
) -> None:
    """Stripe API reference, Idempotent requests, and docs, "Advanced error handling"."""
    first_open, second_open = opened(client), opened(client)
    first = confirmed(client, first_open.id, "confirm-1")
    second = confirmed(client, first_open.id, "confirm-1")

    assert second_open.to_dict() == first_open.to_dict()
    assert second.to_dict() == first.to_dict()
    assert [was_replayed(answer) for answer in (first, second)] == [False, True]
    assert len(sandbox.account.charges()) == 1


def test_the_first_answer_is_replayed_even_when_it_is_no_longer_true(
    client: stripe.StripeClient,
) -> None:
    """Stripe API reference, Idempotent requests: the status code and body are saved."""
    intent = opened(client, key="open-1")
    confirmed(client, intent.id, "confirm-1")

    assert opened(client, key="open-1").status == "requires_confirmation"


def test_a_decline_is_replayed(client: stripe.StripeClient) -> None:
    """Stripe API reference, Idempotent requests: regardless of whether it succeeds or fails."""
    intent = opened(client, "pm_card_chargeDeclined")
    answers = []
    for _ in range(2):
        with pytest.raises(stripe.CardError) as caught:
            confirmed(client, intent.id, "confirm-1")
        answers.append(caught.value)

    assert answers[0].json_body == answers[1].json_body
    assert [was_replayed(answer) for answer in answers] == [False, True]


def test_a_500_is_replayed(client: stripe.StripeClient, sandbox: SandboxServer) -> None:
    """Stripe API reference, Idempotent requests: including 500 errors."""
    intent = opened(client, "pm_sandbox_error_after_charge")
    answers = []
    for _ in range(2):
        with pytest.raises(stripe.APIError) as caught:
            confirmed(client, intent.id, "confirm-1")
        answers.append(caught.value)

    assert [answer.http_status for answer in answers] == [500, 500]
    assert [was_replayed(answer) for answer in answers] == [False, True]
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"
    assert len(sandbox.account.charges()) == 1


def test_other_parameters_under_a_key_are_an_error(client: stripe.StripeClient) -> None:
    """Stripe API reference, Idempotent requests, and Errors, idempotency_error."""
    opened(client, amount=4200)

    with pytest.raises(stripe.IdempotencyError) as caught:
        opened(client, amount=4300)

    assert caught.value.http_status == 400


def test_another_endpoint_under_a_key_is_an_error(client: stripe.StripeClient) -> None:
    """Stripe API reference, Errors, idempotency_error: API endpoint and parameters."""
    intent = opened(client, key="same")

    with pytest.raises(stripe.IdempotencyError):
        confirmed(client, intent.id, "same")


def test_a_request_that_fails_validation_does_not_use_up_its_key(
    client: stripe.StripeClient,
) -> None:
    """Stripe API reference, Idempotent requests: nothing is saved if validation fails."""
    with pytest.raises(stripe.InvalidRequestError):
        opened(client, "pm_nobody", key="open-1")

    intent = opened(client, "pm_card_visa", key="open-1")

    assert not was_replayed(intent)


def test_a_401_does_not_use_up_its_key(client: stripe.StripeClient, sandbox: SandboxServer) -> None:
    """Stripe docs, "Advanced error handling": a 401 comes before the idempotency layer."""
    answer = requests.post(
        f"{sandbox.url}/v1/payment_intents",
        headers={"Idempotency-Key": "open-1", "Authorization": "Bearer nonsense"},
        timeout=5,
    )

    assert answer.status_code == 401
    assert not was_replayed(opened(client, key="open-1"))


def test_a_429_does_not_use_up_its_key(client: stripe.StripeClient, sandbox: SandboxServer) -> None:
    """Stripe docs, "Advanced error handling": a 429 comes before the idempotency layer."""
    intent = opened(client, "pm_sandbox_unavailable")
    for _ in range(2):
        with pytest.raises(stripe.RateLimitError) as caught:
            confirmed(client, intent.id, "confirm-1")
        assert (caught.value.headers or {})["Retry-After"] == "1"

    answer = confirmed(client, intent.id, "confirm-1")

    assert answer.status == "succeeded"
    assert not was_replayed(answer)
    assert len(sandbox.account.charges()) == 1


def test_a_confirm_in_the_wrong_state_was_executed_and_is_replayed(
    client: stripe.StripeClient,
) -> None:
    """Stripe API reference, Idempotent requests: saved once execution has begun."""
    intent = opened(client)
    confirmed(client, intent.id, "confirm-1")
    answers = []
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            confirmed(client, intent.id, "confirm-2")
        answers.append(caught.value)

    assert [was_replayed(answer) for answer in answers] == [False, True]


@pytest.mark.parametrize(("length", "accepted"), [(255, True), (256, False)])
def test_a_key_has_255_characters_at_most(
    client: stripe.StripeClient, length: int, accepted: bool
) -> None:
    """Stripe API reference, Idempotent requests: up to 255 characters."""
    if accepted:
        assert opened(client, key="k" * length).status == "requires_confirmation"
    else:
        with pytest.raises(stripe.InvalidRequestError):
            opened(client, key="k" * length)


def test_a_key_is_kept_for_a_day(client: stripe.StripeClient, sandbox: SandboxServer) -> None:
    """Stripe API reference, Idempotent requests: removed once at least 24 hours old."""
    first = opened(client, key="open-1")

    advance(sandbox, DAY_SECONDS - 60)
    within_the_day = opened(client, key="open-1")
    advance(sandbox, 60)
    after_the_day = opened(client, key="open-1")

    assert within_the_day.id == first.id
    assert after_the_day.id != first.id


def test_a_forgotten_confirm_key_does_not_charge_again(
    client: stripe.StripeClient, sandbox: SandboxServer
) -> None:
    """Stripe docs, "How PaymentIntents work": succeeded is final, whatever the key."""
    intent = opened(client)
    confirmed(client, intent.id, "confirm-1")
    advance(sandbox, DAY_SECONDS)

    with pytest.raises(stripe.InvalidRequestError) as caught:
        confirmed(client, intent.id, "confirm-1")

    assert caught.value.code == "payment_intent_unexpected_state"
    assert len(sandbox.account.charges()) == 1
