"""The gateway as a stoppable worker calls it, over HTTP to the sandbox."""

from collections.abc import Callable
from typing import TypeVar

from payments.gateways.base import GatewayPayment, OutcomeUnknown
from payments.gateways.stripe import StripeGateway
from payments.sandbox.faults import NetworkFault
from payments.sandbox.server import SandboxServer
from tests.faults.gateway import FaultyGateway
from tests.machine.hands import stop_here

Answer = TypeVar("Answer")

# Where no answer will come, nobody waits for it any longer than this.
SILENCE_SECONDS = 0.4

# An answer that does come is waited for, on however busy a machine: a run is to be repeatable.
PATIENCE_SECONDS = 30.0

NEVER_ANSWERS = "pm_sandbox_timeout_after_charge"


class StoppingGateway(FaultyGateway):
    def __init__(self, sandbox: SandboxServer) -> None:
        self.patient = _stripe(sandbox, PATIENCE_SECONDS)
        self._impatient = _stripe(sandbox, SILENCE_SECONDS)
        self._faults = sandbox.faults
        self._silent_payments: set[str] = set()
        super().__init__(self.patient)

    def open(
        self,
        *,
        order_number: str,
        amount_minor: int,
        currency: str,
        payment_method: str,
        idempotency_key: str,
    ) -> GatewayPayment:
        opened = super().open(
            order_number=order_number,
            amount_minor=amount_minor,
            currency=currency,
            payment_method=payment_method,
            idempotency_key=idempotency_key,
        )
        if payment_method == NEVER_ANSWERS:
            self._silent_payments.add(opened.id)
        return opened

    def confirm(self, payment_id: str, *, return_url: str, idempotency_key: str) -> GatewayPayment:
        try:
            return super().confirm(
                payment_id, return_url=return_url, idempotency_key=idempotency_key
            )
        except OutcomeUnknown as error:
            if error.code == "timeout":
                self._silent_payments.discard(payment_id)
            raise

    def _around(self, step: str, key: str, call: Callable[[], Answer]) -> Answer:
        stop_here(f"before {step}")
        self.inner = self._impatient if self._will_be_silent(step) else self.patient
        try:
            answer = call()
        finally:
            self.inner = self.patient
        stop_here(f"after {step}")
        return answer

    def _will_be_silent(self, step: str) -> bool:
        if self._faults.outage:
            return False
        at_the_sandbox = {"list" if step == "refunds" else step, "*"}
        for chance in self._faults._scripted:
            if chance.step in at_the_sandbox:
                return chance.fault is NetworkFault.SILENT
        return step == "confirm" and bool(self._silent_payments)


def _stripe(sandbox: SandboxServer, timeout_seconds: float) -> StripeGateway:
    return StripeGateway(
        secret_key="sk_test_shop", api_base=sandbox.url, timeout_seconds=timeout_seconds
    )
