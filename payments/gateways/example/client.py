"""A gateway in memory: what a shop with another provider has to write on the side that calls.

It moves no money and forgets everything with its process, so it is good for tests and for reading.
The contract suite in tests/payments/gateway_contract.py runs over it as over the real one.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Self, TypeVar

from checkout.catalogue.amounts import AmountLimits
from payments.gateways.base import (
    Abilities,
    GatewayDispute,
    GatewayPayment,
    GatewayRefund,
    GatewayState,
    NoSuchPayment,
    PaymentMethodRefused,
    PaymentRefused,
    PaymentRequest,
    RefundRefused,
    RefundState,
)
from payments.gateways.example.amounts import LIMITS

Answer = TypeVar("Answer", GatewayPayment, GatewayRefund)

DECLINES = {"pm_card_chargeDeclined": "generic_decline"}
ASKS_CUSTOMER = "pm_card_authenticationRequired"

# For so long an amount is set aside.
SET_ASIDE_FOR = timedelta(days=7)
KNOWN = {"pm_card_visa", ASKS_CUSTOMER, *DECLINES}


@dataclass
class ExampleGateway:
    """Threads may share one: there is one lock around everything."""

    abilities = Abilities(
        remembers_keys_for=timedelta(days=10_000),  # as long as its process lives
        captures_later=True,
    )

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    payments: dict[str, GatewayPayment] = field(default_factory=dict)
    refunds: dict[str, GatewayRefund] = field(default_factory=dict)
    _methods: dict[str, str] = field(default_factory=dict)
    _made_at: dict[str, datetime] = field(default_factory=dict)
    _answers: dict[str, tuple[object, object]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @classmethod
    def from_settings(cls) -> Self:
        """How the product makes a gateway; a real one reads its credentials from the settings."""
        return cls()

    @staticmethod
    def limits(currency: str) -> AmountLimits | None:
        return LIMITS.get(currency)

    def open(self, request: PaymentRequest, *, idempotency_key: str) -> GatewayPayment:
        def make() -> GatewayPayment:
            if request.payment_method not in KNOWN:
                raise PaymentMethodRefused("resource_missing")
            limits = self.limits(request.currency)
            if limits is None or limits.objection_to(request.amount_minor):
                raise PaymentRefused("invalid_amount")
            payment = GatewayPayment(
                id=self._new_id("pay"),
                state=GatewayState.OPEN,
                amount_minor=request.amount_minor,
                currency=request.currency,
                order=request.order,
                opened_at=self.clock(),
            )
            self._methods[payment.id] = request.payment_method
            return self._keep(payment)

        return self._once(idempotency_key, ("open", request), make)

    def confirm(
        self, payment_id: str, request: PaymentRequest, *, idempotency_key: str
    ) -> GatewayPayment:
        def charge() -> GatewayPayment:
            payment = self.retrieve(payment_id)
            if payment.state is not GatewayState.OPEN:
                return payment  # charged, declined or cancelled before: it stays so
            method = self._methods[payment_id]
            if method in DECLINES:
                code = DECLINES[method]
                return self._keep(replace(payment, state=GatewayState.DECLINED, decline_code=code))
            if method == ASKS_CUSTOMER:
                address = f"https://bank.example/{payment_id}"
                return self._keep(
                    replace(payment, state=GatewayState.NEEDS_ACTION, action_url=address)
                )
            if request.captures_later:
                until = self.clock() + SET_ASIDE_FOR
                return self._keep(
                    replace(
                        payment,
                        state=GatewayState.AUTHORISED,
                        authorised_until=until,
                        captures_parts=True,
                    )
                )
            return self._keep(replace(payment, state=GatewayState.PAID))

        return self._once(idempotency_key, ("confirm", payment_id, request), charge)

    def capture(
        self,
        payment_id: str,
        *,
        amount_minor: int,
        currency: str,
        is_last: bool,
        idempotency_key: str,
    ) -> GatewayPayment:
        def charge() -> GatewayPayment:
            payment = self.retrieve(payment_id)
            if payment.state is not GatewayState.AUTHORISED:
                return payment
            captured = payment.captured_minor + amount_minor
            if captured > payment.amount_minor or currency != payment.currency:
                raise PaymentRefused("amount_too_large")
            payment = replace(payment, captured_minor=captured)
            return self._keep(self._released(payment) if is_last else payment)

        asked = ("capture", payment_id, amount_minor, currency, is_last)
        return self._once(idempotency_key, asked, charge)

    def retrieve(self, payment_id: str) -> GatewayPayment:
        with self._lock:
            if payment_id not in self.payments:
                raise NoSuchPayment("resource_missing")
            payment = self.payments[payment_id]
            if payment.authorised_until is None or payment.authorised_until > self.clock():
                return payment
            return self._keep(self._given_up(payment))  # the bank keeps it no longer

    def cancel(self, payment_id: str, *, idempotency_key: str) -> GatewayPayment:
        def close() -> GatewayPayment:
            payment = self.retrieve(payment_id)
            if payment.state in {GatewayState.PAID, GatewayState.CANCELLED}:
                return payment
            return self._keep(self._given_up(payment))

        return self._once(idempotency_key, ("cancel", payment_id), close)

    def refund(
        self,
        payment_id: str,
        *,
        amount_minor: int,
        currency: str,
        refund_key: str,
        idempotency_key: str,
    ) -> GatewayRefund:
        def send_back() -> GatewayRefund:
            payment = self.retrieve(payment_id)
            gone = sum(refund.amount_minor for refund in self.refunds_of(payment_id))
            if gone + amount_minor > payment.charged_minor:
                raise RefundRefused("amount_too_large")
            if amount_minor % LIMITS[currency].step_minor or currency != payment.currency:
                raise RefundRefused("invalid_amount")
            refund = GatewayRefund(
                id=self._new_id("ref"),
                state=RefundState.SUCCEEDED,
                payment_id=payment_id,
                amount_minor=amount_minor,
                currency=payment.currency,
                refund_key=refund_key,
            )
            self.refunds[refund.id] = refund
            return refund

        asked = ("refund", payment_id, amount_minor, currency, refund_key)
        return self._once(idempotency_key, asked, send_back)

    def refunds_of(self, payment_id: str) -> list[GatewayRefund]:
        with self._lock:
            newest_first = reversed(self.refunds.values())
            return [refund for refund in newest_first if refund.payment_id == payment_id]

    def list_since(self, since: datetime) -> Iterator[GatewayPayment]:
        with self._lock:
            newest_first = list(reversed(self.payments.values()))
        return (payment for payment in newest_first if self._made_at[payment.id] >= since)

    def list_refunds_since(self, since: datetime) -> Iterator[GatewayRefund]:
        with self._lock:
            newest_first = list(reversed(self.refunds.values()))
        return (refund for refund in newest_first if self._made_at[refund.id] >= since)

    def disputes_of(self, payment_id: str) -> list[GatewayDispute]:
        return []  # nobody disputes a payment in memory

    def list_disputes_since(self, since: datetime) -> Iterator[GatewayDispute]:
        return iter(())

    def _once(self, key: str, asked: object, act: Callable[[], Answer]) -> Answer:
        """Gives one answer for a key, whoever asks again. Another question is a mistake."""
        with self._lock:
            if key in self._answers:
                asked_before, answer = self._answers[key]
                if asked_before != asked:
                    raise PaymentRefused("idempotency_error")
                return answer  # type: ignore[return-value] # the same question had the same answer
            answer = act()
            self._answers[key] = (asked, answer)
            return answer

    def _given_up(self, payment: GatewayPayment) -> GatewayPayment:
        """Nothing more is charged of it."""
        if payment.captured_minor:
            return self._released(payment)
        return replace(
            payment,
            state=GatewayState.CANCELLED,
            decline_code="",
            action_url="",
            authorised_until=None,
            captures_parts=False,
        )

    @staticmethod
    def _released(payment: GatewayPayment) -> GatewayPayment:
        """What was charged is the amount, and nothing is set aside any more."""
        return replace(
            payment,
            state=GatewayState.PAID,
            amount_minor=payment.captured_minor,
            captured_minor=0,
            authorised_until=None,
            captures_parts=False,
        )

    def _keep(self, payment: GatewayPayment) -> GatewayPayment:
        self.payments[payment.id] = payment
        return payment

    def _new_id(self, kind: str) -> str:
        new_id = f"{kind}_{len(self._made_at) + 1}"
        self._made_at[new_id] = self.clock()
        return new_id


make = ExampleGateway.from_settings
