"""The gateway as a stoppable worker calls it, over HTTP to the sandbox."""

from collections.abc import Callable
from typing import TypeVar

from payments.gateways.base import GatewayPayment, OutcomeUnknown
from payments.gateways.stripe import StripeGateway
from tests.faults.gateway import FaultyGateway
from tests.machine.hands import stop_here

Answer = TypeVar("Answer")

# Where no answer will come, nobody waits for it any longer than this.
SILENCE_SECONDS = 0.25

PATIENCE_SECONDS = 10.0

NEVER_ANSWERS = "pm_sandbox_timeout_after_charge"


class StoppingGateway(FaultyGateway):
    def __init__(self, url: str) -> None:
        self.patient = _stripe(url, PATIENCE_SECONDS)
        self._impatient = _stripe(url, SILENCE_SECONDS)
        self.silent_steps: set[str] = set()
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
        if payment_id in self._silent_payments:
            self.silent_steps.add("confirm")
        return super().confirm(payment_id, return_url=return_url, idempotency_key=idempotency_key)

    def _around(self, step: str, key: str, call: Callable[[], Answer]) -> Answer:
        stop_here(f"before {step}")
        self.inner = self._impatient if step in self.silent_steps else self.patient
        try:
            answer = call()
        except OutcomeUnknown as error:
            if error.code == "timeout":
                self.silent_steps.discard(step)
            raise
        finally:
            self.inner = self.patient
        stop_here(f"after {step}")
        return answer


def _stripe(url: str, timeout_seconds: float) -> StripeGateway:
    return StripeGateway(secret_key="sk_test_shop", api_base=url, timeout_seconds=timeout_seconds)
