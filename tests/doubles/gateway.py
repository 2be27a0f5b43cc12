"""A gateway that fails before or after it did what it was asked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, cast

from checkout.catalogue.amounts import AmountLimits
from payments.gateways.base import (
    Abilities,
    CapturingGateway,
    Gateway,
    GatewayDispute,
    GatewayPayment,
    GatewayRefund,
    PaymentRequest,
)

Act = Callable[[], object]
Answer = TypeVar("Answer")


@dataclass
class FaultyGateway:
    """Passes calls on. `before[step]` and `after[step]` run around them and may raise."""

    inner: Gateway
    before: dict[str, Act] = field(default_factory=dict)
    after: dict[str, Act] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)  # (step, idempotency key)

    @property
    def abilities(self) -> Abilities:
        return self.inner.abilities

    @staticmethod
    def limits(currency: str) -> AmountLimits | None:
        return AmountLimits()

    def open(self, request: PaymentRequest, *, idempotency_key: str) -> GatewayPayment:
        return self._around(
            "open",
            idempotency_key,
            lambda: self.inner.open(request, idempotency_key=idempotency_key),
        )

    def confirm(
        self, payment_id: str, request: PaymentRequest, *, idempotency_key: str
    ) -> GatewayPayment:
        return self._around(
            "confirm",
            idempotency_key,
            lambda: self.inner.confirm(payment_id, request, idempotency_key=idempotency_key),
        )

    def retrieve(self, payment_id: str) -> GatewayPayment:
        return self._around("retrieve", "", lambda: self.inner.retrieve(payment_id))

    def cancel(self, payment_id: str, *, idempotency_key: str) -> GatewayPayment:
        return self._around(
            "cancel",
            idempotency_key,
            lambda: self.inner.cancel(payment_id, idempotency_key=idempotency_key),
        )

    def capture(self, payment_id: str, *, idempotency_key: str, **how: Any) -> GatewayPayment:
        inner = cast(CapturingGateway, self.inner)
        return self._around(
            "capture",
            idempotency_key,
            lambda: inner.capture(payment_id, idempotency_key=idempotency_key, **how),
        )

    def refund(
        self,
        payment_id: str,
        *,
        amount_minor: int,
        currency: str,
        refund_key: str,
        idempotency_key: str,
    ) -> GatewayRefund:
        return self._around(
            "refund",
            idempotency_key,
            lambda: self.inner.refund(
                payment_id,
                amount_minor=amount_minor,
                currency=currency,
                refund_key=refund_key,
                idempotency_key=idempotency_key,
            ),
        )

    def refunds_of(self, payment_id: str) -> list[GatewayRefund]:
        return self._around("refunds", "", lambda: self.inner.refunds_of(payment_id))

    def list_since(self, since: datetime) -> Iterator[GatewayPayment]:
        return self.inner.list_since(since)

    def list_refunds_since(self, since: datetime) -> Iterator[GatewayRefund]:
        return self.inner.list_refunds_since(since)

    def disputes_of(self, payment_id: str) -> list[GatewayDispute]:
        return self._around("disputes", "", lambda: self.inner.disputes_of(payment_id))

    def list_disputes_since(self, since: datetime) -> Iterator[GatewayDispute]:
        return self.inner.list_disputes_since(since)

    def _around(self, step: str, key: str, call: Callable[[], Answer]) -> Answer:
        self.calls.append((step, key))
        if act := self.before.get(step):
            act()
        answer = call()
        if act := self.after.get(step):
            act()
        return answer


def raising(error: Exception) -> Act:
    def act() -> None:
        raise error

    return act
