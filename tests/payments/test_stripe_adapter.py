"""The adapter against the sandbox, and against answers the sandbox never gives."""

import json
import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checkout.orders.identity.order_identity import OrderIdentity
from payments.gateways import base
from payments.gateways.base import (
    GatewayError,
    GatewayMisconfigured,
    GatewayPayment,
    GatewayState,
    NoSuchPayment,
    NotExecuted,
    OutcomeUnknown,
    PaymentMethodRefused,
    PaymentRefused,
    RefundRefused,
)
from payments.gateways.load import Gateways
from payments.gateways.stripe.client import StripeGateway
from payments.sandbox import account
from payments.sandbox.clock import Clock
from payments.sandbox.server import SandboxServer
from tests.support.asked import asked
from tests.support.till import impatient

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

Call = Callable[[StripeGateway], object]


@pytest.fixture
def sandbox_clock() -> Clock:
    return lambda: NOON


def open_payment(
    gateway: StripeGateway,
    payment_method: str = "pm_card_visa",
    *,
    order_number: str = "A-1001",
    key: str = "open-1",
    amount_minor: int = 4200,
    currency: str = "EUR",
) -> GatewayPayment:
    return gateway.open(
        asked(
            payment_method,
            order=OrderIdentity(number=order_number),
            amount_minor=amount_minor,
            currency=currency,
        ),
        idempotency_key=key,
    )


def charge_count(sandbox: SandboxServer) -> int:
    return len(sandbox.account.charges())


# --- Against the sandbox ------------------------------------------------------------------------


def test_it_is_a_gateway(gateway: StripeGateway) -> None:
    typed: base.Gateway = gateway  # mypy's word is what counts here

    assert typed is gateway


def test_opening_moves_no_money(gateway: StripeGateway, sandbox: SandboxServer) -> None:
    payment = open_payment(gateway)

    assert payment == GatewayPayment(
        id=payment.id,
        state=GatewayState.OPEN,
        amount_minor=4200,
        currency="EUR",
        order=OrderIdentity(number="A-1001"),
        opened_at=payment.opened_at,
    )
    assert payment.opened_at is not None
    assert charge_count(sandbox) == 0


def test_confirming_charges_the_amount(gateway: StripeGateway, sandbox: SandboxServer) -> None:
    opened = open_payment(gateway)

    payment = gateway.confirm(opened.id, asked(), idempotency_key="confirm-1")

    assert payment.state is GatewayState.PAID
    assert (payment.id, payment.amount_minor, payment.currency) == (opened.id, 4200, "EUR")
    assert [charge["order"] for charge in sandbox.account.charges()] == ["A-1001"]
    assert gateway.retrieve(opened.id) == payment


@pytest.mark.parametrize(
    ("method", "decline_code"),
    [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
    ],
)
def test_a_decline_is_an_answer(
    gateway: StripeGateway, sandbox: SandboxServer, method: str, decline_code: str
) -> None:
    opened = open_payment(gateway, method)

    payment = gateway.confirm(opened.id, asked(), idempotency_key="confirm-1")

    assert payment.state is GatewayState.DECLINED
    assert payment.decline_code == decline_code
    assert gateway.retrieve(opened.id) == payment
    assert charge_count(sandbox) == 0


def test_confirming_a_declined_payment_again_tells_the_decline(gateway: StripeGateway) -> None:
    opened = open_payment(gateway, "pm_card_chargeDeclined")
    declined = gateway.confirm(opened.id, asked(), idempotency_key="confirm-1")

    again = gateway.confirm(opened.id, asked(), idempotency_key="confirm-2")

    assert again == declined


def test_confirming_a_paid_payment_again_tells_that_it_is_paid(
    gateway: StripeGateway, sandbox: SandboxServer
) -> None:
    opened = open_payment(gateway)
    paid = gateway.confirm(opened.id, asked(), idempotency_key="confirm-1")

    again = gateway.confirm(opened.id, asked(), idempotency_key="confirm-2")

    assert again == paid
    assert charge_count(sandbox) == 1


def test_a_cancelled_payment_cannot_be_charged(
    gateway: StripeGateway, sandbox: SandboxServer
) -> None:
    opened = open_payment(gateway)

    cancelled = gateway.cancel(opened.id, idempotency_key="cancel-1")
    confirmed = gateway.confirm(opened.id, asked(), idempotency_key="confirm-1")

    assert cancelled.state is GatewayState.CANCELLED
    assert confirmed == cancelled
    assert charge_count(sandbox) == 0


def test_cancelling_what_is_paid_answers_paid(gateway: StripeGateway) -> None:
    opened = open_payment(gateway)
    paid = gateway.confirm(opened.id, asked(), idempotency_key="confirm-1")

    assert gateway.cancel(opened.id, idempotency_key="cancel-1") == paid


def test_cancelling_twice_answers_cancelled(gateway: StripeGateway) -> None:
    opened = open_payment(gateway)
    cancelled = gateway.cancel(opened.id, idempotency_key="cancel-1")

    assert gateway.cancel(opened.id, idempotency_key="cancel-2") == cancelled


def test_a_declined_payment_can_be_cancelled(gateway: StripeGateway) -> None:
    opened = open_payment(gateway, "pm_card_chargeDeclined")
    gateway.confirm(opened.id, asked(), idempotency_key="confirm-1")

    cancelled = gateway.cancel(opened.id, idempotency_key="cancel-1")

    assert cancelled.state is GatewayState.CANCELLED


@pytest.mark.parametrize("method", ["pm_card_from_elsewhere", ""])
def test_a_bad_payment_method_is_refused_before_anything_is_opened(
    gateway: StripeGateway, method: str
) -> None:
    with pytest.raises(PaymentMethodRefused, match="resource_missing"):
        open_payment(gateway, method)

    assert list(gateway.list_since(NOON - timedelta(days=1))) == []


@pytest.mark.parametrize("name", ["confirm", "retrieve", "cancel", "refunds_of"])
def test_a_payment_of_another_account_is_said_to_be_unknown(
    gateway: StripeGateway, name: str
) -> None:
    with pytest.raises(NoSuchPayment, match="resource_missing"):
        CALLS[name](gateway)


def test_a_key_that_is_refused_from_now_on_is_for_a_person(
    gateway: StripeGateway, sandbox: SandboxServer
) -> None:
    sandbox.faults.is_key_refused = True

    with pytest.raises(GatewayMisconfigured, match="api_key_invalid"):
        open_payment(gateway)


@pytest.mark.parametrize(
    ("amount_minor", "currency", "code"),
    [
        (49, "EUR", "amount_too_small"),
        (100_000_000, "EUR", "amount_too_large"),
        (5124, "KWD", "amount_not_exact"),
        (5000, "XXX", "amount_not_exact"),
    ],
)
def test_an_amount_that_cannot_be_charged_is_refused_for_this_payment_alone(
    gateway: StripeGateway, amount_minor: int, currency: str, code: str
) -> None:
    with pytest.raises(PaymentRefused, match=code):
        open_payment(gateway, amount_minor=amount_minor, currency=currency)

    assert open_payment(gateway, key="open-2").state is GatewayState.OPEN


def test_what_is_charged_is_the_money_of_the_page(
    gateway: StripeGateway, sandbox: SandboxServer
) -> None:
    opened = open_payment(gateway, amount_minor=5000, currency="ISK")

    paid = gateway.confirm(opened.id, asked(), idempotency_key="confirm-1")

    assert (paid.amount_minor, paid.currency) == (5000, "ISK")
    assert [charge["amount"] for charge in sandbox.account.charges()] == [500_000]
    assert [payment.amount_minor for payment in gateway.list_since(NOON)] == [5000]


def test_a_wrong_key_is_for_a_person(sandbox: SandboxServer) -> None:
    gateway = StripeGateway(secret_key="pk_test_shop", api_base=sandbox.url)

    with pytest.raises(GatewayMisconfigured):
        open_payment(gateway)


def test_other_parameters_under_a_key_are_refused(gateway: StripeGateway) -> None:
    open_payment(gateway, key="open-1", amount_minor=4200)

    with pytest.raises(PaymentRefused, match="idempotency_error"):
        open_payment(gateway, key="open-1", amount_minor=4300)


def test_a_repeated_open_is_the_same_payment(gateway: StripeGateway) -> None:
    assert open_payment(gateway, key="open-1") == open_payment(gateway, key="open-1")


def test_a_turned_away_call_says_when_to_come_again(
    gateway: StripeGateway, sandbox: SandboxServer
) -> None:
    opened = open_payment(gateway, "pm_sandbox_unavailable")

    for _ in range(2):
        with pytest.raises(NotExecuted) as caught:
            gateway.confirm(opened.id, asked(), idempotency_key="confirm-1")
        assert caught.value.retry_after_seconds == 1.0
        assert gateway.retrieve(opened.id).state is GatewayState.OPEN
    paid = gateway.confirm(opened.id, asked(), idempotency_key="confirm-1")

    assert paid.state is GatewayState.PAID
    assert charge_count(sandbox) == 1


@impatient
def test_a_timeout_after_the_charge_leaves_the_outcome_unknown(
    gateway: StripeGateway, sandbox: SandboxServer
) -> None:
    opened = open_payment(gateway, "pm_sandbox_timeout_after_charge")

    with pytest.raises(OutcomeUnknown, match="timeout"):
        gateway.confirm(opened.id, asked(), idempotency_key="confirm-1")

    assert gateway.retrieve(opened.id).state is GatewayState.PAID
    assert (
        gateway.confirm(opened.id, asked(), idempotency_key="confirm-1").state is GatewayState.PAID
    )
    assert charge_count(sandbox) == 1


def test_a_500_after_the_charge_leaves_the_outcome_unknown_for_ever_under_its_key(
    gateway: StripeGateway, sandbox: SandboxServer
) -> None:
    opened = open_payment(gateway, "pm_sandbox_error_after_charge")

    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            gateway.confirm(opened.id, asked(), idempotency_key="confirm-1")

    assert gateway.retrieve(opened.id).state is GatewayState.PAID
    assert charge_count(sandbox) == 1


def test_a_key_in_use_is_not_executed(
    gateway: StripeGateway, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(sandbox.account, "_slow_seconds", 60.0)
    opened = open_payment(gateway, "pm_sandbox_slow")
    with pytest.raises(OutcomeUnknown, match="timeout"):
        gateway_at(sandbox.url, timeout_seconds=2.0).confirm(
            opened.id, asked(), idempotency_key="confirm-1"
        )

    with pytest.raises(NotExecuted, match="idempotency_key_in_use") as same_key:
        gateway.confirm(opened.id, asked(), idempotency_key="confirm-1")
    with pytest.raises(NotExecuted, match="lock_timeout") as same_payment:
        gateway.cancel(opened.id, idempotency_key="cancel-1")
    assert same_key.value.is_under_way
    assert same_payment.value.is_under_way

    assert gateway.retrieve(opened.id).state is GatewayState.OPEN
    assert charge_count(sandbox) == 0


def test_the_list_is_newest_first_and_pages(gateway: StripeGateway, sandbox: SandboxServer) -> None:
    numbers = [f"A-{number}" for number in range(205)]
    for number in numbers:
        open_payment(gateway, order_number=number, key=f"open-{number}")
        sandbox.clock.advance(1)

    everything = gateway.list_since(NOON)
    the_last_five = gateway.list_since(NOON + timedelta(seconds=200))

    assert [payment.order.number for payment in everything] == numbers[::-1]
    assert [payment.order.number for payment in the_last_five] == numbers[:-6:-1]


def test_threads_may_share_it(gateway: StripeGateway, sandbox: SandboxServer) -> None:
    def pay(number: int) -> GatewayPayment:
        opened = open_payment(gateway, order_number=f"A-{number}", key=f"open-{number}")
        return gateway.confirm(opened.id, asked(), idempotency_key=f"confirm-{number}")

    with ThreadPoolExecutor(8) as threads:
        payments = list(threads.map(pay, range(40)))

    assert {payment.state for payment in payments} == {GatewayState.PAID}
    assert charge_count(sandbox) == 40


# --- Connections --------------------------------------------------------------------------------


@contextmanager
def answering(answer: bytes | None) -> Iterator[str]:
    """A server that gives each connection these bytes and closes it; for None, resets it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                if answer is None:
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                else:
                    connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def http_answer(status: int, body: str | dict[str, Any], *headers: str) -> bytes:
    text = body if isinstance(body, str) else json.dumps(body)
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(text)}", *headers, "", text]
    return "\r\n".join(lines).encode()


def stripe_error(status: int, *headers: str, **error: Any) -> bytes:
    return http_answer(status, {"error": {"message": "Words for people.", **error}}, *headers)


def gateway_at(url: str, timeout_seconds: float = 20.0) -> StripeGateway:
    return StripeGateway(secret_key="sk_test_shop", api_base=url, timeout_seconds=timeout_seconds)


CALLS: dict[str, Call] = {
    "open": open_payment,
    "confirm": lambda gateway: gateway.confirm("pi_1", asked(), idempotency_key="confirm-1"),
    "retrieve": lambda gateway: gateway.retrieve("pi_1"),
    "cancel": lambda gateway: gateway.cancel("pi_1", idempotency_key="cancel-1"),
    "list_since": lambda gateway: next(gateway.list_since(NOON)),
    "refund": lambda gateway: gateway.refund(
        "pi_1", amount_minor=1, currency="EUR", refund_key="a", idempotency_key="refund-1"
    ),
    "refunds_of": lambda gateway: gateway.refunds_of("pi_1"),
}


@pytest.fixture(params=list(CALLS))
def call(request: pytest.FixtureRequest) -> Call:
    return CALLS[request.param]


def test_a_refused_connection_is_not_executed(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(NotExecuted, match="never_connected"):
        call(gateway_at(f"http://127.0.0.1:{port}"))


def test_an_unknown_host_is_not_executed() -> None:
    with pytest.raises(NotExecuted, match="never_connected"):
        open_payment(gateway_at("http://gateway.invalid"))


def test_a_connection_never_accepted_is_not_executed() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        # The queue of the listener is full, so that the next connection waits for ever.
        others = [socket.socket() for _ in range(4)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(listener.getsockname())

        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(NotExecuted, match="never_connected"):
            open_payment(gateway_at(url, timeout_seconds=1.0))

        for other in others:
            other.close()


def test_a_reset_leaves_the_outcome_unknown(call: Call) -> None:
    with answering(None) as url, pytest.raises(OutcomeUnknown, match="connection_lost"):
        call(gateway_at(url))


def test_half_an_answer_leaves_the_outcome_unknown(call: Call) -> None:
    half = b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id": "pi'

    with answering(half) as url, pytest.raises(OutcomeUnknown):
        call(gateway_at(url))


@pytest.mark.parametrize(
    ("answer", "conclusion", "code"),
    [
        (stripe_error(500, type="api_error"), OutcomeUnknown, "api_error"),
        (http_answer(502, "<html>Bad gateway</html>"), OutcomeUnknown, "http_502"),
        (http_answer(200, "<html>Log in to the Wi-Fi</html>"), OutcomeUnknown, "http_200"),
        (stripe_error(424, type="api_error"), OutcomeUnknown, "api_error"),
        (stripe_error(418, code="Sorry, Ada"), OutcomeUnknown, "http_418"),
        (stripe_error(409, code="idempotency_key_in_use"), NotExecuted, "idempotency_key_in_use"),
        (stripe_error(409, code="lock_timeout"), NotExecuted, "lock_timeout"),
        (stripe_error(429, code="lock_timeout"), NotExecuted, "lock_timeout"),
        (stripe_error(400, code="rate_limit"), NotExecuted, "rate_limit"),
        (http_answer(429, "slow down"), NotExecuted, "http_429"),
        (stripe_error(401, type="invalid_request_error"), GatewayMisconfigured, None),
        (stripe_error(403, type="invalid_request_error"), GatewayMisconfigured, None),
        (stripe_error(400, code="account_closed"), GatewayMisconfigured, "account_closed"),
        (stripe_error(400, code="livemode_mismatch"), GatewayMisconfigured, "livemode_mismatch"),
    ],
)
def test_an_error_is_concluded_from_its_status(
    call: Call, answer: bytes, conclusion: type[GatewayError], code: str | None
) -> None:
    with answering(answer) as url, pytest.raises(conclusion) as caught:
        call(gateway_at(url))

    assert type(caught.value) is conclusion
    assert code is None or caught.value.code == code


# What a refusal of the request itself means, by what was asked.
DEFINITE = {
    "open": PaymentRefused,
    "confirm": PaymentRefused,
    "retrieve": OutcomeUnknown,
    "cancel": OutcomeUnknown,
    "list_since": OutcomeUnknown,
    "refund": RefundRefused,
    "refunds_of": OutcomeUnknown,
}


@pytest.mark.parametrize("name", list(CALLS))
@pytest.mark.parametrize(
    "answer",
    [
        stripe_error(400, code="amount_too_small", param="amount"),
        stripe_error(400, code="parameter_missing", param="return_url"),
        stripe_error(400, type="idempotency_error"),
        stripe_error(402, type="invalid_request_error"),
        stripe_error(404, code="url_unknown"),
    ],
)
def test_a_refusal_of_one_request_is_no_refusal_of_the_shop(name: str, answer: bytes) -> None:
    with answering(answer) as url, pytest.raises(GatewayError) as caught:
        CALLS[name](gateway_at(url))

    assert isinstance(caught.value, DEFINITE[name])


@pytest.mark.parametrize("name", ["open", "confirm", "retrieve", "cancel"])
def test_a_state_that_is_not_told_leaves_the_outcome_unknown(name: str) -> None:
    answer = stripe_error(400, code="payment_intent_unexpected_state")

    with answering(answer) as url, pytest.raises(OutcomeUnknown):
        CALLS[name](gateway_at(url))


def test_retry_after_is_passed_on(call: Call) -> None:
    answer = stripe_error(429, "Retry-After: 17", code="rate_limit")

    with answering(answer) as url, pytest.raises(NotExecuted) as caught:
        call(gateway_at(url))

    assert caught.value.retry_after_seconds == 17.0


def test_a_date_as_retry_after_is_left_to_the_caller() -> None:
    answer = stripe_error(429, "Retry-After: Mon, 02 Mar 2026 12:00:00 GMT", code="rate_limit")

    with answering(answer) as url, pytest.raises(NotExecuted) as caught:
        open_payment(gateway_at(url))

    assert caught.value.retry_after_seconds is None


def test_a_decline_without_its_payment_leaves_the_outcome_unknown() -> None:
    answer = stripe_error(402, type="card_error", code="card_declined")

    with answering(answer) as url, pytest.raises(OutcomeUnknown, match="card_declined"):
        gateway_at(url).confirm("pi_1", asked(), idempotency_key="confirm-1")


@pytest.mark.parametrize(
    "error",
    [
        {"type": "card_error", "code": "card_declined"},
        {
            "type": "invalid_request_error",
            "code": "payment_method_unexpected_state",
            "param": "payment_method",
        },
    ],
)
def test_what_stripe_dislikes_about_a_payment_method_is_the_shoppers_matter(
    error: dict[str, str],
) -> None:
    status = 402 if error["type"] == "card_error" else 400

    with answering(stripe_error(status, **error)) as url, pytest.raises(PaymentMethodRefused):
        open_payment(gateway_at(url))


# --- States the sandbox does not reach ----------------------------------------------------------


def told(**fields: Any) -> GatewayPayment:
    intent = {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 4200,
        "amount_received": 0,
        "created": 1_764_547_200,
        "currency": "eur",
        "metadata": {"order": "A-1001"},
        "payment_method": None,
        "last_payment_error": None,
        "next_action": None,
        **fields,
    }
    with answering(http_answer(200, intent)) as url:
        return gateway_at(url).retrieve("pi_1")


def test_what_is_paid_is_what_was_received() -> None:
    assert told(status="succeeded", amount_received=4000).amount_minor == 4000


@pytest.mark.parametrize("status", ["processing", "invented_next_year"])
def test_a_status_that_allows_no_conclusion_is_processing(status: str) -> None:
    assert told(status=status).state is GatewayState.PROCESSING


@pytest.mark.parametrize(
    ("type_", "state"),
    [("sepa_debit", GatewayState.PROMISED), ("card", GatewayState.PROCESSING)],
)
def test_debit_that_is_processing_is_a_banks_promise(type_: str, state: GatewayState) -> None:
    method = {"id": "pm_1", "object": "payment_method", "type": type_}

    assert told(status="processing", payment_method=method).state is state


def test_customer_of_a_token_who_was_refused_is_declined() -> None:
    error = {"type": "invalid_request_error", "code": "payment_intent_authentication_failure"}
    waiting = {"status": "requires_payment_method", "automatic_payment_methods": {"enabled": True}}

    assert told(**waiting).state is GatewayState.OPEN
    assert told(**waiting, last_payment_error=error).state is GatewayState.DECLINED


def test_token_that_an_earlier_confirmation_used_up_is_asked_about(
    gateway: StripeGateway, sandbox: SandboxServer
) -> None:
    """Its answer was lost, and Stripe has forgotten its key."""
    request = asked("ctoken_1_card_visa", return_url="http://shop.example/")
    opened = gateway.open(request, idempotency_key="open-1")
    other = gateway.open(request, idempotency_key="open-2")
    gateway.confirm(opened.id, request, idempotency_key="confirm-1")

    again = gateway.confirm(opened.id, request, idempotency_key="another")

    assert again.state is GatewayState.PAID
    with pytest.raises(PaymentMethodRefused):
        gateway.confirm(other.id, request, idempotency_key="confirm-2")
    assert charge_count(sandbox) == 1


def test_token_of_another_way_to_pay_has_no_script_of_stripes_in_between(
    gateway: StripeGateway,
) -> None:
    """The order's page links to where the customer approves, and runs nothing of Stripe's."""
    request = asked("ctoken_1_klarna", return_url="http://shop.example/")
    opened = gateway.open(request, idempotency_key="open-1")

    asking = gateway.confirm(opened.id, request, idempotency_key="confirm-1")

    assert asking.state is GatewayState.NEEDS_ACTION
    assert asking.action_url.startswith("http")


def test_a_customer_who_must_act_is_told_where() -> None:
    url = "https://hooks.stripe.com/3d_secure_2/hosted"
    action = {"type": "redirect_to_url", "redirect_to_url": {"url": url, "return_url": None}}

    payment = told(status="requires_action", next_action=action)

    assert payment.state is GatewayState.NEEDS_ACTION
    assert payment.action_url == url


def test_voucher_is_shown_on_a_page_and_waits_until_its_end() -> None:
    url = "https://payments.stripe.com/boleto/voucher/1"
    voucher = {"hosted_voucher_url": url, "expires_at": 1_800_000_000}
    action = {"type": "boleto_display_details", "boleto_display_details": voucher}

    payment = told(status="requires_action", next_action=action)

    assert payment.action_url == url
    assert payment.waits_until == datetime(2027, 1, 15, 8, tzinfo=UTC)


def test_an_action_without_an_address_has_none() -> None:
    payment = told(status="requires_action", next_action={"type": "use_stripe_sdk"})

    assert payment.state is GatewayState.NEEDS_ACTION
    assert payment.action_url == ""


@pytest.mark.parametrize(
    ("error", "decline_code"),
    [
        ({"code": "card_declined", "decline_code": "lost_card"}, "lost_card"),
        ({"code": "expired_card"}, "expired_card"),
        ({"code": "expired_card", "decline_code": None}, "expired_card"),
        ({"type": "api_error"}, "unspecified"),
        (None, "payment_method_missing"),
    ],
)
def test_a_decline_says_why(error: dict[str, str | None] | None, decline_code: str) -> None:
    payment = told(status="requires_payment_method", last_payment_error=error)

    assert payment.state is GatewayState.DECLINED
    assert payment.decline_code == decline_code


def test_a_payment_of_somebody_else_has_no_order() -> None:
    assert told(status="succeeded", metadata={}).order == OrderIdentity()


# --- What it leaves behind ----------------------------------------------------------------------


def test_the_log_names_the_request_but_quotes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    answer = stripe_error(401, "Request-Id: req_77", message="Invalid API Key: sk_test_shop")

    with (
        caplog.at_level(logging.INFO),
        answering(answer) as url,
        pytest.raises(GatewayMisconfigured) as caught,
    ):
        open_payment(gateway_at(url))

    records = [vars(record) for record in caplog.records if record.name.startswith("payments")]
    assert [record["stripe_request"] for record in records] == ["req_77"]
    assert "sk_test" not in repr(records) + str(caught.value)
    assert caught.value.__suppress_context__


def test_the_settings_make_the_gateway(settings: Any, sandbox: SandboxServer) -> None:
    settings.PAYMENT_GATEWAYS = {"stripe": "payments.gateways.stripe"}
    settings.STRIPE_SECRET_KEY = "sk_test_shop"
    settings.STRIPE_API_BASE = sandbox.url + "/"
    settings.GATEWAY_TIMEOUT_SECONDS = 2.0

    [(name, gateway)] = Gateways.load().items()

    assert name == "stripe"
    assert list(gateway.list_since(NOON)) == []
