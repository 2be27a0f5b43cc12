"""The gateway's side of a bank transfer, which answers from what staff have recorded."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Self

from django.db import transaction
from django.db.models import Sum

from checkout.catalogue.amounts import AmountLimits
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.runtime.clock import database_now
from payments.gateways.bank_transfer.models import (
    ExpectedTransfer,
    ReceivedTransfer,
    ReturnedTransfer,
)
from payments.gateways.base import (
    Abilities,
    GatewayDispute,
    GatewayPayment,
    GatewayRefund,
    GatewayState,
    NoSuchPayment,
    PaymentRefused,
    PaymentRequest,
    RefundRefused,
    RefundState,
)
from payments.gateways.settings import given


class BankTransferGateway:
    abilities = Abilities(
        remembers_keys_for=timedelta(days=36_500),  # its books are the shop's own
        # Staff say that a transfer was sent back after they have seen it leave.
        refunds_return_within=timedelta(days=0),
    )

    @classmethod
    def from_settings(cls) -> Self:
        return cls()

    @staticmethod
    def limits(currency: str) -> AmountLimits | None:
        return AmountLimits()

    def open(self, request: PaymentRequest, *, idempotency_key: str) -> GatewayPayment:
        new = {
            "payment_id": f"bank-{hashlib.sha256(idempotency_key.encode()).hexdigest()[:24]}",
            "number": request.order.number,
            "reference": request.order.reference,
            "installation": request.order.installation,
            "amount_minor": request.amount_minor,
            "currency": request.currency,
        }
        expected, is_new = ExpectedTransfer.objects.get_or_create(
            key=idempotency_key, defaults=new | {"opened_at": database_now()}
        )
        if not is_new and any(getattr(expected, name) != value for name, value in new.items()):
            raise PaymentRefused("idempotency_error")
        return told(expected)

    def confirm(
        self, payment_id: str, request: PaymentRequest, *, idempotency_key: str
    ) -> GatewayPayment:
        return self.retrieve(payment_id)  # the customer confirms by sending the money

    def retrieve(self, payment_id: str) -> GatewayPayment:
        return told(_expected(payment_id))

    def cancel(self, payment_id: str, *, idempotency_key: str) -> GatewayPayment:
        """One for which a part of the money is here stays open: a person has to send that back."""
        with transaction.atomic():
            # Whoever records money for it waits here, or is waited for.
            expected = _expected(payment_id, lock=True)
            if not expected.cancelled_at and not received_minor(expected):
                expected.cancelled_at = database_now()
                expected.save(update_fields=["cancelled_at"])
        return told(expected)

    def refund(
        self,
        payment_id: str,
        *,
        amount_minor: int,
        currency: str,
        refund_key: str,
        idempotency_key: str,
    ) -> GatewayRefund:
        with transaction.atomic():
            expected = _expected(payment_id, lock=True)
            known = expected.returned.filter(key=refund_key).first()
            if known is None:
                left = _came_minor(expected) - _returned_minor(expected)
                if amount_minor > left or currency != expected.currency:
                    raise RefundRefused("amount_too_large")
                known = expected.returned.create(
                    key=refund_key, amount_minor=amount_minor, asked_at=database_now()
                )
            elif known.amount_minor != amount_minor:
                raise RefundRefused("idempotency_error")
        return _told_return(known)

    def refunds_of(self, payment_id: str) -> list[GatewayRefund]:
        returned = _expected(payment_id).returned.select_related("expected")
        return [_told_return(each) for each in returned.order_by("-id")]

    def list_since(self, since: datetime) -> Iterator[GatewayPayment]:
        opened = ExpectedTransfer.objects.filter(opened_at__gte=since).order_by("-opened_at")
        for expected in opened.iterator(chunk_size=100):
            yield told(expected)

    def list_refunds_since(self, since: datetime) -> Iterator[GatewayRefund]:
        returned = ReturnedTransfer.objects.filter(asked_at__gte=since).order_by("-asked_at")
        for each in returned.select_related("expected").iterator(chunk_size=100):
            yield _told_return(each)

    def disputes_of(self, payment_id: str) -> list[GatewayDispute]:
        return []  # a transfer that was sent is not taken back by its bank

    def list_disputes_since(self, since: datetime) -> Iterator[GatewayDispute]:
        return iter(())


make = BankTransferGateway.from_settings


def told(expected: ExpectedTransfer) -> GatewayPayment:
    came_minor = _came_minor(expected)
    is_paid = came_minor >= expected.amount_minor
    state = GatewayState.PAID if is_paid else GatewayState.NEEDS_ACTION
    if not is_paid and expected.cancelled_at:
        state = GatewayState.CANCELLED
    return GatewayPayment(
        id=expected.payment_id,
        state=state,
        amount_minor=came_minor if is_paid else expected.amount_minor,
        currency=expected.currency,
        order=OrderIdentity(
            number=expected.number,
            reference=expected.reference,
            installation=expected.installation,
        ),
        waits_until=expected.opened_at + timedelta(days=given("BANK_TRANSFER_DAYS")),
        opened_at=expected.opened_at,
    )


def received_minor(expected: ExpectedTransfer) -> int:
    """What came and is still here."""
    return _came_minor(expected) - _returned_minor(expected, only_sent=True)


def _came_minor(expected: ExpectedTransfer) -> int:
    received = ReceivedTransfer.objects.filter(expected=expected)
    return received.aggregate(total=Sum("amount_minor"))["total"] or 0


def _returned_minor(expected: ExpectedTransfer, *, only_sent: bool = False) -> int:
    returned = expected.returned.exclude(sent_at=None) if only_sent else expected.returned.all()
    return returned.aggregate(total=Sum("amount_minor"))["total"] or 0


def _expected(payment_id: str, *, lock: bool = False) -> ExpectedTransfer:
    rows = ExpectedTransfer.objects.select_for_update() if lock else ExpectedTransfer.objects
    expected = rows.filter(pk=payment_id).first()
    if expected is None:
        raise NoSuchPayment("no_such_transfer")
    return expected


def _told_return(returned: ReturnedTransfer) -> GatewayRefund:
    return GatewayRefund(
        id=f"bank-return-{returned.pk}",
        state=RefundState.SUCCEEDED if returned.sent_at else RefundState.PENDING,
        payment_id=returned.expected_id,
        amount_minor=returned.amount_minor,
        currency=returned.expected.currency,
        refund_key=returned.key,
    )
