"""A gateway that charges everything and takes as long as it is told. In the worker's process, so
that no other program's speed is measured."""

import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings

from checkout.catalogue.amounts import AmountLimits
from payments.gateways.base import (
    Abilities,
    GatewayDispute,
    GatewayMisconfigured,
    GatewayPayment,
    GatewayRefund,
    GatewayState,
    OutcomeUnknown,
    PaymentRequest,
)
from tests.tools.bench.contenders.patient import SECONDS


@dataclass
class PatientGateway:
    abilities = Abilities(remembers_keys_for=timedelta(days=10_000))

    seconds: float
    opened: dict[str, GatewayPayment] = field(default_factory=dict)

    @classmethod
    def from_settings(cls) -> Self:
        return cls(float(os.environ[SECONDS]))

    @staticmethod
    def limits(currency: str) -> AmountLimits | None:
        return AmountLimits()

    def open(self, request: PaymentRequest, *, idempotency_key: str) -> GatewayPayment:
        self._think()
        payment = GatewayPayment(
            id=f"pi_{secrets.token_hex(16)}",
            state=GatewayState.OPEN,
            amount_minor=request.amount_minor,
            currency=request.currency,
            order=request.order,
        )
        self.opened[payment.id] = payment
        return payment

    def confirm(
        self, payment_id: str, request: PaymentRequest, *, idempotency_key: str
    ) -> GatewayPayment:
        self._think()
        return replace(self.opened.pop(payment_id), state=GatewayState.PAID)

    def _think(self) -> None:
        """As long as a call may take, and then its outcome is unknown, as over the network."""
        at_most: float = settings.GATEWAY_TIMEOUT_SECONDS
        time.sleep(min(self.seconds / 2, at_most))
        if self.seconds / 2 > at_most:
            raise OutcomeUnknown("timeout")

    def retrieve(self, payment_id: str) -> GatewayPayment:
        raise GatewayMisconfigured("not_of_this_benchmark")

    def cancel(self, payment_id: str, *, idempotency_key: str) -> GatewayPayment:
        raise GatewayMisconfigured("not_of_this_benchmark")

    def refund(
        self,
        payment_id: str,
        *,
        amount_minor: int,
        currency: str,
        refund_key: str,
        idempotency_key: str,
    ) -> GatewayRefund:
        raise GatewayMisconfigured("not_of_this_benchmark")

    def refunds_of(self, payment_id: str) -> list[GatewayRefund]:
        return []

    def list_since(self, since: datetime) -> Iterator[GatewayPayment]:
        return iter(())

    def list_refunds_since(self, since: datetime) -> Iterator[GatewayRefund]:
        return iter(())

    def disputes_of(self, payment_id: str) -> list[GatewayDispute]:
        return []

    def list_disputes_since(self, since: datetime) -> Iterator[GatewayDispute]:
        return iter(())


make = PatientGateway.from_settings
