"""The contract of all gateways, held by the one that calls nobody."""

import itertools
import threading
from datetime import date

import pytest
from django.db import connection
from django.utils import timezone

from payments.gateways.bank_transfer.client import BankTransferGateway
from payments.gateways.bank_transfer.models import ReceivedTransfer
from payments.gateways.base import Gateway, GatewayPayment, GatewayState
from tests.payments.gateway_contract import GatewayContract

ENTRIES = itertools.count()


@pytest.mark.django_db(transaction=True)
class TestBankTransfer(GatewayContract):
    approved = ""
    declined = ""
    asks_customer = ""
    opens_as = GatewayState.NEEDS_ACTION
    knows_methods = False
    takes_every_currency = True

    @pytest.fixture
    def gateway(self) -> BankTransferGateway:
        return BankTransferGateway()

    def confirm(
        self, gateway: Gateway, payment: GatewayPayment, idempotency_key: str = ""
    ) -> GatewayPayment:
        """The customer sends the money, unless it was sent, or nobody waits for it any more."""
        if gateway.retrieve(payment.id).state is GatewayState.NEEDS_ACTION:
            ReceivedTransfer.objects.create(
                bank_reference=f"contract-{next(ENTRIES)}",
                booked_on=date(2026, 11, 27),
                amount_minor=payment.amount_minor,
                currency=payment.currency,
                expected_id=payment.id,
                recorded_at=timezone.now(),
                recorded_by="ada",
            )
        return super().confirm(gateway, payment, idempotency_key)

    def charges(self, gateway: Gateway, payment: GatewayPayment) -> int | None:
        return ReceivedTransfer.objects.filter(expected_id=payment.id).count()

    def paid(self, gateway: Gateway) -> GatewayPayment:
        try:
            return super().paid(gateway)
        finally:
            if threading.current_thread() is not threading.main_thread():
                connection.close()
