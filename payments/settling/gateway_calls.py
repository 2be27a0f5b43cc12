"""Calls to the gateway: each written down before it is made and after it was answered.

A call is made with no transaction open, and every repetition of it goes out under the same key.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self, cast

from django.db import connection
from django.db.transaction import TransactionManagementError

from checkout.orders.pausing import is_paused
from checkout.runtime import metrics, spans, trace
from checkout.runtime.faultpoints import fault_points
from payments.gateways.base import (
    CapturingGateway,
    GatewayDispute,
    GatewayError,
    GatewayMisconfigured,
    GatewayPayment,
    GatewayRefund,
    NotExecuted,
    PaymentRefused,
    RefundRefused,
)
from payments.gateways.load import Gateways
from payments.models import Capture, Payment, PaymentAttempt, Refund
from payments.settling.refused_shop import begin_refusal, end_refusal
from payments.settling.request import request_of
from payments.settling.steps.before_call import Begins, Ended, end_call

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]
Step = PaymentAttempt.Step

# No call is begun later than this after the first; with the lease it bounds one settlement.
DEADLINE = timedelta(seconds=60)

# A call of a process that died is answered within about this time; see `_once_more`.
WAIT_FOR_A_CALL_SECONDS = 0.25

MILLISECOND = timedelta(milliseconds=1)

# What these answer is stored at once.
FOLLOWED_BY_A_STEP = {Step.OPEN, Step.CONFIRM}


@dataclass(kw_only=True)
class Calls:
    """What one message may ask of the gateways, within one deadline.

    A call that opens or confirms a payment is followed by a step that is committed, and that step
    writes the call's end, and the row of the next call: see `steps.before_call`. What no step has
    written is written before the next call, and by `write_end`.
    """

    gateways: Gateways
    clock: Clock
    deadline: datetime
    begun: int | None = None  # the row of the next call, which a step has written
    ended: Ended | None = None  # the last call, whose end is still to be written

    @classmethod
    def begin(cls, gateways: Gateways, clock: Clock) -> Self:
        return cls(gateways=gateways, clock=clock, deadline=clock() + DEADLINE)

    def begins(self, step: Step, key: str) -> Begins | None:
        """The next call, for a step to write down. None where no call may be made now."""
        if self.refused():
            return None
        return Begins(step=step, key=key, at=self.clock())

    def refused(self) -> str:
        """Why no call may be made now."""
        if self.clock() >= self.deadline:
            return "deadline"
        return "payments_are_paused" if is_paused() else ""

    def take_end(self) -> Ended | None:
        """The end of the last call, for whoever writes it with something else."""
        ended, self.ended = self.ended, None
        return ended

    def write_end(self) -> None:
        if ended := self.take_end():
            end_call(ended)

    def open(self, payment: Payment) -> GatewayPayment:
        return _once_more(lambda: self._open(payment))

    def confirm(self, payment: Payment) -> GatewayPayment:
        return _once_more(lambda: self._confirm(payment))

    def _open(self, payment: Payment) -> GatewayPayment:
        with _Attempt(self, payment, Step.OPEN, payment.open_key) as attempt:
            answer = self.gateways.of(payment).open(
                request_of(payment), idempotency_key=payment.open_key
            )
            return attempt.answered(answer)

    def _confirm(self, payment: Payment) -> GatewayPayment:
        with _Attempt(self, payment, Step.CONFIRM, payment.confirm_key) as attempt:
            answer = self.gateways.of(payment).confirm(
                payment.gateway_payment_id,
                request_of(payment),
                idempotency_key=payment.confirm_key,
            )
            return attempt.answered(answer)

    def retrieve(self, payment: Payment) -> GatewayPayment:
        with _Attempt(self, payment, Step.RETRIEVE) as attempt:
            gateway = self.gateways.of(payment)
            return attempt.answered(gateway.retrieve(payment.gateway_payment_id))

    def cancel(self, payment: Payment) -> GatewayPayment:
        with _Attempt(self, payment, Step.CANCEL, payment.cancel_key) as attempt:
            answer = self.gateways.of(payment).cancel(
                payment.gateway_payment_id, idempotency_key=payment.cancel_key
            )
            return attempt.answered(answer)

    def capture(self, capture: Capture) -> GatewayPayment:
        payment = capture.payment
        with _Attempt(self, payment, Step.CAPTURE, capture.key) as attempt:
            # Only such a gateway has ever answered that an amount is set aside.
            gateway = cast(CapturingGateway, self.gateways.of(payment))
            answer = gateway.capture(
                payment.gateway_payment_id,
                amount_minor=capture.amount_minor,
                currency=payment.currency,
                is_last=capture.is_last,
                idempotency_key=capture.key,
            )
            return attempt.answered(answer)

    def refund(self, refund: Refund) -> GatewayRefund:
        with _Attempt(self, refund.payment, Step.REFUND, refund.key) as attempt:
            answer = self.gateways.of(refund.payment).refund(
                refund.payment.gateway_payment_id,
                amount_minor=refund.amount_minor,
                currency=refund.payment.currency,
                refund_key=refund.key,
                idempotency_key=refund.key,
            )
            attempt.outcome = answer.state.value
            return answer

    def refunds_of(self, payment: Payment) -> list[GatewayRefund]:
        with _Attempt(self, payment, Step.REFUNDS) as attempt:
            refunds = self.gateways.of(payment).refunds_of(payment.gateway_payment_id)
            attempt.outcome = f"{len(refunds)} found"
            return refunds

    def disputes_of(self, payment: Payment) -> list[GatewayDispute]:
        with _Attempt(self, payment, Step.DISPUTES) as attempt:
            disputes = self.gateways.of(payment).disputes_of(payment.gateway_payment_id)
            attempt.outcome = f"{len(disputes)} found"
            return disputes


def _once_more(call: Callable[[], GatewayPayment]) -> GatewayPayment:
    """Make the call again after a moment where the same call of a process that died is under way at
    the gateway. The message would come back through outbox and queue, which takes longer."""
    try:
        return call()
    except NotExecuted as error:
        if not error.is_under_way:
            raise
    time.sleep(WAIT_FOR_A_CALL_SECONDS)
    return call()


class _Attempt:
    """The row of one call. It stays without an end when the process dies in between."""

    def __init__(self, calls: Calls, payment: Payment, step: Step, key: str = "") -> None:
        self._calls = calls
        self._payment = payment
        self._step = step
        self._key = key
        self._payment_id = payment.gateway_payment_id
        self.outcome = ""
        self.code = ""

    def answered(self, answer: GatewayPayment) -> GatewayPayment:
        self.outcome, self.code = answer.state.value, answer.decline_code
        self._payment_id = answer.id
        return answer

    def __enter__(self) -> Self:
        if connection.in_atomic_block:
            raise TransactionManagementError("The gateway must not be called inside a transaction.")
        self._calls.write_end()
        begun, self._calls.begun = self._calls.begun, None
        self._row = self._begin() if begun is None else begun
        order = self._payment.order.number
        self._span = trace.span("gateway call", order=order, step=self._step.value)
        self._span.__enter__()
        self._asked_at = self._calls.clock()
        return self

    def _begin(self) -> int:
        if refused := self._calls.refused():  # so it is asked again later, as after a pause
            raise NotExecuted(refused)
        with fault_points("attempt committed"):
            return PaymentAttempt.objects.create(
                payment=self._payment,
                step=self._step,
                idempotency_key=self._key,
                started_at=self._calls.clock(),
            ).pk

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        finished_at = self._calls.clock()
        if error is not None:
            self.outcome = type(error).__name__
            self.code = error.code if isinstance(error, GatewayError) else ""
        self._log(finished_at)
        self._span.__exit__(kind, error, traceback)
        if error is not None and not isinstance(error, GatewayError):
            return  # nothing is known about its outcome
        ended = Ended(attempt=self._row, at=finished_at, outcome=self.outcome, code=self.code[:80])
        if error is None and self._step in FOLLOWED_BY_A_STEP:
            self._calls.ended = ended
        else:
            end_call(ended)
        if isinstance(error, GatewayMisconfigured):
            begin_refusal(self._payment.gateway, error.code, now=finished_at)
        elif error is None or isinstance(error, (PaymentRefused, RefundRefused)):
            end_refusal(self._payment.gateway, now=finished_at)

    def _log(self, finished_at: datetime) -> None:
        spans.set_attributes(outcome=self.outcome)
        took = finished_at - self._asked_at
        # The number of refunds that were found would make a label of each number.
        outcome = "answered" if self._step is Step.REFUNDS else self.outcome or "answered"
        metrics.GATEWAY_SECONDS.labels(self._step.value, outcome).observe(took.total_seconds())
        logger.info(
            "The gateway was asked",
            extra={
                "order": self._payment.order.number,
                "payment": self._payment_id,
                "step": self._step.value,
                "outcome": self.outcome,
                "code": self.code,
                "duration_ms": round(took / MILLISECOND),
            },
        )
