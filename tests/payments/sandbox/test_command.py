"""The sandbox as a process of its own."""

import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory

import pytest
import requests

from checkout.orders.identity.order_identity import OrderIdentity
from payments.gateways.base import GatewayState
from payments.gateways.mollie.client import MollieGateway
from payments.gateways.stripe.client import StripeGateway
from tests.support.asked import asked
from tests.support.long import at_length, long
from tests.support.processes import ROOT, eventually, preparer, run


def environment(**changes: str) -> dict[str, str]:
    settings = {
        "SECRET_KEY": "for this test only",
        # Nobody listens there: the command needs no database.
        "DATABASE_URL": "postgres://nobody:nothing@127.0.0.1:1/none",
        "DEBUG": "True",
        "PYTHONUNBUFFERED": "1",
    }
    return os.environ | settings | changes


def command(*arguments: str) -> list[str]:
    return [sys.executable, "manage.py", "run_sandbox_gateway", *arguments]


@contextmanager
def listening(ledger_path: Path, **changes: str) -> Iterator[tuple[Popen[bytes], StripeGateway]]:
    with serving("--port", "0", "--ledger", str(ledger_path), **changes) as (process, url):
        yield process, StripeGateway(secret_key="sk_test_x", api_base=url)


@contextmanager
def serving(*arguments: str, **changes: str) -> Iterator[tuple[Popen[bytes], str]]:
    with TemporaryDirectory() as folder:
        said, errors = Path(folder, "said"), Path(folder, "errors")
        said.touch()
        process = preparer().start(
            command(*arguments),
            environment=environment(**changes),
            directory=ROOT,
            said=said,
            errors=errors,
        )
        try:
            eventually(lambda: "\n" in said.read_text(), what="its first line")
            found = re.search(r"http://127\.0\.0\.1:\d+", said.read_text())
            assert found, said.read_text()
            yield process, found[0]
        finally:
            process.kill()
            process.wait(timeout=60)


def opened(gateway: StripeGateway) -> str:
    return gateway.open(
        asked(),
        idempotency_key="open-1",
    ).id


@pytest.mark.parametrize("name", [signal.SIGTERM, *at_length(signal.SIGINT)])
def test_a_signal_stops_it_cleanly(tmp_path: Path, name: signal.Signals) -> None:
    with listening(tmp_path / "made" / "for" / "it.jsonl") as (process, gateway):
        opened(gateway)

        process.send_signal(name)

        assert process.wait(timeout=60) == 0


def test_a_killed_sandbox_has_forgotten_nothing(ledger_path: Path) -> None:
    with listening(ledger_path) as (process, gateway):
        payment_id = opened(gateway)
        gateway.confirm(payment_id, asked(), idempotency_key="confirm-1")
        process.kill()

    with listening(ledger_path) as (_, gateway):
        assert gateway.retrieve(payment_id).state is GatewayState.PAID


@long
def test_a_killed_sandbox_of_mollie_has_forgotten_neither_payment_nor_key(
    tmp_path: Path,
) -> None:
    ledger = tmp_path / "mollie.jsonl"
    request = asked(
        "",
        order=OrderIdentity(number="100001-19"),
        amount_minor=1250,
        return_url="https://shop.example/orders/x/",
    )
    with serving("--of", "mollie", "--port", "0", "--ledger", str(ledger)) as (process, url):
        gateway = MollieGateway(api_key="test_x", api_base=url)
        opened = gateway.open(request, idempotency_key="open-1")
        requests.post(opened.action_url, data={"status": "paid"}, allow_redirects=False, timeout=5)
        process.kill()

    with serving("--of", "mollie", "--port", "0", "--ledger", str(ledger)) as (_, url):
        gateway = MollieGateway(api_key="test_x", api_base=url)
        assert gateway.open(request, idempotency_key="open-1").id == opened.id
        assert gateway.retrieve(opened.id).state is GatewayState.PAID


def test_a_taken_port_is_one_clear_line(ledger_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run(command("--port", port, "--ledger", str(ledger_path)), environment())

    assert ended.returncode == 1
    assert f"127.0.0.1:{port}" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_without_debug_it_must_be_allowed(ledger_path: Path) -> None:
    ended = run(
        command("--port", "0", "--ledger", str(ledger_path)),
        environment(DEBUG="False", SANDBOX_GATEWAY_ALLOWED="False"),
    )

    assert ended.returncode == 1
    assert "SANDBOX_GATEWAY_ALLOWED" in ended.stderr
    assert not ledger_path.exists()


def test_without_debug_it_may_be_allowed(ledger_path: Path) -> None:
    changes = {"DEBUG": "False", "SANDBOX_GATEWAY_ALLOWED": "True"}

    with listening(ledger_path, **changes) as (_, gateway):
        assert opened(gateway)
