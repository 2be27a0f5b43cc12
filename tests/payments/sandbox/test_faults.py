"""Faults on demand and by chance: what the adapter concludes, and that none charges twice."""

import os
import resource
import time

import pytest
import requests
from django.core.management import CommandError, call_command

from checkout.orders.identity.order_identity import OrderIdentity
from payments.gateways.base import GatewayState, NotExecuted, OutcomeUnknown
from payments.gateways.stripe.client import StripeGateway
from payments.sandbox.faults import BadSpecification, Faults, NetworkFault, parse
from payments.sandbox.server import SandboxServer
from tests.support.asked import asked
from tests.support.till import impatient


def opened(gateway: StripeGateway) -> str:
    return gateway.open(
        asked(order=OrderIdentity(number="100001-19"), amount_minor=1250),
        idempotency_key="open-1",
    ).id


def wish(sandbox: SandboxServer, **wishes: object) -> requests.Response:
    return requests.post(f"{sandbox.url}/sandbox/faults", json=wishes, timeout=10)


@impatient
@pytest.mark.parametrize(
    ("fault", "error", "charges"),
    [
        ("silent", OutcomeUnknown, 1),
        ("reset", OutcomeUnknown, 1),
        ("500", OutcomeUnknown, 1),
        ("429", NotExecuted, 0),
        ("503", OutcomeUnknown, 0),
    ],
)
def test_next_call_meets_the_fault_and_the_one_after_does_not(
    sandbox: SandboxServer,
    gateway: StripeGateway,
    fault: str,
    error: type[Exception],
    charges: int,
) -> None:
    payment_id = opened(gateway)
    wish(sandbox, next=f"confirm:{fault}")

    with pytest.raises(error):
        gateway.confirm(payment_id, asked(), idempotency_key="confirm-1")
    assert len(sandbox.account.charges()) == charges

    paid = gateway.confirm(payment_id, asked(), idempotency_key="confirm-1")
    assert paid.state is GatewayState.PAID
    assert len(sandbox.account.charges()) == 1


def test_late_answer_is_an_answer(sandbox: SandboxServer, gateway: StripeGateway) -> None:
    wish(sandbox, next="open:late")

    assert opened(gateway)


def test_outage_can_be_switched(sandbox: SandboxServer, gateway: StripeGateway) -> None:
    assert wish(sandbox, outage=True).json() == {"outage": True}
    with pytest.raises(OutcomeUnknown):
        opened(gateway)

    wish(sandbox, outage=False)

    assert opened(gateway)


def calls(seed: int) -> list[NetworkFault | None]:
    faults = Faults(parse("confirm:reset=0.3,*:429=0.2"), seed)
    return [faults.next_for(step) for step in ("open", "confirm") * 50]


def test_same_seed_meets_the_same_faults() -> None:
    assert calls(7) == calls(7)
    assert calls(7) != calls(8)
    assert {None, NetworkFault.RESET, NetworkFault.TURNED_AWAY} == set(calls(7))


def test_likelier_fault_comes_before_all_others(sandbox: SandboxServer) -> None:
    sandbox.faults.chances = parse("open:500=0.5,open:429=0.1")
    wish(sandbox, likelier=["429"])

    for _ in range(1000):
        sandbox.faults.next_for("open")

    assert 350 < sandbox.faults.hits["429"] < 450
    assert 250 < sandbox.faults.hits["500"] < 350


def test_without_a_specification_there_are_none() -> None:
    faults = Faults()

    assert [faults.next_for("confirm") for _ in range(100)] == [None] * 100


@pytest.mark.parametrize(
    "specification", ["confirm", "confirm:boom=1", "nothing:429=1", "open:429=2", "open:429=x"]
)
def test_specification_that_cannot_be_read_is_said(specification: str) -> None:
    with pytest.raises(BadSpecification, match="step:fault=probability"):
        parse(specification)
    with pytest.raises(CommandError, match="--faults"):
        call_command("run_sandbox_gateway", "--port", "0", "--faults", specification)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"next": "boom"}', b'{"likelier": ["boom"]}'])
def test_wish_that_makes_no_sense_is_refused(sandbox: SandboxServer, body: bytes) -> None:
    answer = requests.post(f"{sandbox.url}/sandbox/faults", data=body, timeout=10)

    assert answer.status_code == 400


def test_faults_are_counted_and_end_when_told(
    sandbox: SandboxServer, gateway: StripeGateway
) -> None:
    payment_id = opened(gateway)
    began = time.time()
    wish(sandbox, next="retrieve:429,retrieve:429")
    with pytest.raises(NotExecuted):
        gateway.retrieve(payment_id)

    wish(sandbox, calm=True)

    assert gateway.retrieve(payment_id).state is GatewayState.OPEN
    hits = requests.get(f"{sandbox.url}/sandbox/faults", timeout=10).json()
    path = f"/v1/payment_intents/{payment_id}"
    assert hits["hits"] == {"429": 1}
    assert [(met["fault"], met["path"]) for met in hits["latest"]] == [("429", path)]
    assert began <= hits["latest"][0]["at"] <= time.time()


def test_one_of_more_than_a_thousand_connections_hears_nothing_either(
    sandbox: SandboxServer, gateway: StripeGateway
) -> None:
    """The call `select` refuses descriptors above 1,023."""
    address = f"{sandbox.url}/v1/payment_intents/{opened(gateway)}"
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, most), most))
    taken = [os.dup(0) for _ in range(1100)]
    try:
        wish(sandbox, next="retrieve:silent")
        with pytest.raises(requests.ReadTimeout):
            requests.get(address, auth=("sk_test_shop", ""), timeout=1)
    finally:
        for each in taken:
            os.close(each)
