"""What a sandbox leaves on the disk is what the next one begins with."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from payments.gateways.base import GatewayState, NotExecuted, OutcomeUnknown
from payments.gateways.stripe.client import StripeGateway
from payments.sandbox.ledger import Ledger, LedgerError
from payments.sandbox.server import SandboxServer
from tests.support.asked import asked


@contextmanager
def running(ledger_path: Path) -> Iterator[tuple[SandboxServer, StripeGateway]]:
    server = SandboxServer(ledger_path=ledger_path)
    server.start()
    try:
        yield server, gateway_of(server)
    finally:
        server.stop()


def gateway_of(server: SandboxServer) -> StripeGateway:
    return StripeGateway(secret_key="sk_test_shop", api_base=server.url)


def opened(gateway: StripeGateway, payment_method: str = "pm_card_visa") -> str:
    return gateway.open(
        asked(payment_method),
        idempotency_key=f"open-{payment_method}",
    ).id


def test_a_restart_keeps_intents_keys_and_charges(ledger_path: Path) -> None:
    with running(ledger_path) as (server, gateway):
        paid = gateway.confirm(opened(gateway), asked(), idempotency_key="confirm-1")
        declined = gateway.confirm(
            opened(gateway, "pm_card_chargeDeclined"), asked(), idempotency_key="confirm-2"
        )
        cancelled = gateway.cancel(opened(gateway, "pm_sandbox_slow"), idempotency_key="cancel-1")
        before = server.account.charges()

    with running(ledger_path) as (server, gateway):
        assert server.account.charges() == before
        assert len(before) == 1
        for payment in (paid, declined, cancelled):
            assert gateway.retrieve(payment.id) == payment
        assert gateway.confirm(paid.id, asked(), idempotency_key="confirm-1") == paid
        assert gateway.confirm(paid.id, asked(), idempotency_key="another") == paid
        assert opened(gateway) == paid.id
        assert server.account.charges() == before


def test_a_restart_keeps_a_stored_500(ledger_path: Path) -> None:
    with running(ledger_path) as (_, gateway):
        payment_id = opened(gateway, "pm_sandbox_error_after_charge")
        with pytest.raises(OutcomeUnknown):
            gateway.confirm(payment_id, asked(), idempotency_key="confirm-1")

    with running(ledger_path) as (_, gateway):
        with pytest.raises(OutcomeUnknown):
            gateway.confirm(payment_id, asked(), idempotency_key="confirm-1")
        assert gateway.retrieve(payment_id).state is GatewayState.PAID


def test_a_restart_keeps_how_often_a_payment_was_turned_away(ledger_path: Path) -> None:
    payment_id = ""
    for _ in range(2):
        with running(ledger_path) as (_, gateway):
            payment_id = opened(gateway, "pm_sandbox_unavailable")
            with pytest.raises(NotExecuted):
                gateway.confirm(payment_id, asked(), idempotency_key="confirm-1")

    with running(ledger_path) as (_, gateway):
        payment = gateway.confirm(payment_id, asked(), idempotency_key="confirm-1")

    assert payment.state is GatewayState.PAID


def test_a_line_cut_off_by_a_crash_never_happened(ledger_path: Path) -> None:
    with running(ledger_path) as (_, gateway):
        payment_id = opened(gateway)
        whole = ledger_path.read_bytes()
        gateway.confirm(payment_id, asked(), idempotency_key="confirm-1")
    charged = ledger_path.read_bytes().removeprefix(whole)
    ledger_path.write_bytes(whole + charged[:40])

    with running(ledger_path) as (server, gateway):
        assert gateway.retrieve(payment_id).state is GatewayState.OPEN
        assert (
            gateway.confirm(payment_id, asked(), idempotency_key="confirm-1").state
            is GatewayState.PAID
        )
        assert len(server.account.charges()) == 1
    kinds = [json.loads(line)["kind"] for line in ledger_path.read_text().splitlines()]
    assert kinds == ["opened", "answer_stored", "charged", "answer_stored"]


def test_a_charge_whose_stored_answer_was_cut_off_is_not_made_again(ledger_path: Path) -> None:
    with running(ledger_path) as (_, gateway):
        payment_id = opened(gateway)
        paid = gateway.confirm(payment_id, asked(), idempotency_key="confirm-1")
    lines = ledger_path.read_bytes().splitlines(keepends=True)
    ledger_path.write_bytes(b"".join(lines[:-1]) + lines[-1][:40])

    with running(ledger_path) as (server, gateway):
        assert gateway.confirm(payment_id, asked(), idempotency_key="confirm-1") == paid
        assert len(server.account.charges()) == 1


def test_the_charge_is_on_the_disk_before_the_answer(ledger_path: Path) -> None:
    with running(ledger_path) as (_, gateway):
        payment_id = opened(gateway)
        gateway.confirm(payment_id, asked(), idempotency_key="confirm-1")

        lines = [json.loads(line) for line in ledger_path.read_text().splitlines()]

    assert [line["kind"] for line in lines] == [
        "opened",
        "answer_stored",
        "charged",
        "answer_stored",
    ]
    assert {line["payment_intent"] for line in lines} == {payment_id}
    assert {(line["amount"], line["currency"], line["order"]) for line in lines} == {
        (4200, "eur", "A-1001")
    }


def test_damage_in_the_middle_is_not_passed_over(ledger_path: Path) -> None:
    ledger_path.write_text('{"kind": "opened"\n{}\n')

    with pytest.raises(LedgerError, match="line 1"):
        SandboxServer(ledger_path=ledger_path)


def test_two_sandboxes_cannot_share_a_ledger(ledger_path: Path) -> None:
    with running(ledger_path), pytest.raises(LedgerError, match="in use"):
        Ledger(ledger_path)


def test_a_stopped_sandbox_answers_no_kept_connection(ledger_path: Path) -> None:
    with running(ledger_path) as (_, gateway):
        payment_id = opened(gateway)

    with pytest.raises(NotExecuted, match="never_connected"):
        gateway.retrieve(payment_id)


def test_a_full_disk_leaves_no_half_line(
    ledger_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(ledger_path)
    ledger.append([{"kind": "first"}])

    def half_write(data: bytes) -> None:
        with ledger_path.open("ab") as file:
            file.write(data[:10])
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "_write", half_write)
        with pytest.raises(OSError, match="No space"):
            ledger.append([{"kind": "second"}])
    ledger.append([{"kind": "third"}])

    assert [line["kind"] for line in ledger.read()] == ["first", "third"]
    ledger.close()
