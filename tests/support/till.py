"""The record outside the product: what the gateway says it charged."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import pytest
import requests
from django.utils import timezone

from checkout.orders.models import Order, OutboxMessage
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from payments.gateways.base import Gateway
from payments.gateways.load import Gateways
from payments.models import Payment, Refund
from payments.refunds import request_refund
from payments.settling.check_order import check_order
from payments.settling.result import Result
from payments.settling.settle_order import settle_order
from payments.worker.handle import HANDLERS
from tests.support.processes import eventually

# For a test in which the gateway does not answer a call.
impatient = pytest.mark.parametrize("gateway_seconds", [2.0], ids=["impatient"])


def only(gateway: Gateway) -> Gateways:
    """The gateways of a shop that has this one alone, under the name that tests' payments have."""
    return Gateways({"stripe": gateway})


@dataclass(frozen=True)
class Charge:
    order: str
    amount_minor: int
    currency: str


def charges_at(sandbox_url: str) -> list[Charge]:
    ledger = requests.get(f"{sandbox_url}/sandbox/ledger", timeout=10).json()
    return [
        Charge(charge["order"], charge["amount"], charge["currency"].upper())
        for charge in ledger["charges"]
    ]


@dataclass(frozen=True)
class Till:
    sandbox_url: str
    gateway: Gateway

    def charges(self) -> list[Charge]:
        return charges_at(self.sandbox_url)

    def settle(self, order: Order) -> Result:
        return settle_order(order.number, only(self.gateway), clock=timezone.now)

    def check(self, order: Order) -> Result:
        return check_order(order.number, only(self.gateway), clock=timezone.now)

    def return_refund(self, refund: Refund) -> None:
        """The customer's bank returns what was sent back, and a webhook tells of it."""
        refund.refresh_from_db()
        wish = {"refund": refund.gateway_refund_id, "status": "failed"}
        url = f"{self.sandbox_url}/sandbox/refunds"
        requests.post(url, json=wish, timeout=10).raise_for_status()

    def approve(self, payment: Payment) -> None:
        """The customer approves the payment at their bank."""
        payment.refresh_from_db()
        url = f"{self.sandbox_url}/sandbox/bank/{payment.gateway_payment_id}"
        answer = requests.post(url, data={"answer": "approve"}, timeout=10, allow_redirects=False)
        answer.raise_for_status()

    def end_debit(self, payment: Payment) -> None:
        """The bank sends what it has promised."""
        payment.refresh_from_db()
        wish = {"payment_intent": payment.gateway_payment_id, "money_came": True}
        url = f"{self.sandbox_url}/sandbox/debits"
        requests.post(url, json=wish, timeout=10).raise_for_status()

    def capture_at_the_site(self, payment: Payment, amount_minor: int) -> None:
        """Staff charge what is set aside at the gateway's own site."""
        payment.refresh_from_db()
        requests.post(
            f"{self.sandbox_url}/v1/payment_intents/{payment.gateway_payment_id}/capture",
            data={"amount_to_capture": amount_minor},
            auth=("sk_test_till", ""),
            timeout=10,
        ).raise_for_status()

    def advance_clock(self, by: timedelta) -> None:
        """Time passes at the gateway."""
        wish = {"advance_seconds": by.total_seconds()}
        url = f"{self.sandbox_url}/sandbox/clock"
        requests.post(url, json=wish, timeout=10).raise_for_status()

    def dispute(self, payment: Payment, **how: object) -> str:
        """The customer disputes a charge at their bank; the gateway's id of that."""
        wish = {"payment_intent": payment.gateway_payment_id, **how}
        answer = requests.post(f"{self.sandbox_url}/sandbox/disputes", json=wish, timeout=10)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def decide(self, dispute_id: str, *, won: bool) -> None:
        """The bank decides, by what the shop has sent in as evidence."""
        text = "winning_evidence" if won else "losing_evidence"
        requests.post(
            f"{self.sandbox_url}/v1/disputes/{dispute_id}",
            data={"evidence[uncategorized_text]": text, "submit": "true"},
            auth=("sk_test_till", ""),
            timeout=10,
        ).raise_for_status()

    def deliver_messages(self) -> None:
        """What publisher and worker do with everything in the outbox, whenever it is due."""
        while message := OutboxMessage.objects.filter(published_at=None).order_by("id").first():
            OutboxMessage.objects.filter(pk=message.pk).update(published_at=timezone.now())
            HANDLERS[message.kind](message.order.number, only(self.gateway), clock=timezone.now)

    def pay_at_the_second_card_and_refund(self, order: Order, *amounts_minor: int) -> None:
        """Whatever an order's other parts are told of: a decline, another card, refunds."""
        self.settle_everything_twice()
        transition(order.pk, OrderStatus.PLACED, reason="Paid again", now=timezone.now())
        Order.objects.update(payment_round=2, payment_method="pm_card_visa")
        self.settle_everything_twice()
        for amount_minor in amounts_minor:
            request_refund(
                Payment.objects.get(status="paid"),
                amount_minor=amount_minor,
                reason="Broken",
                requested_by=None,
                now=timezone.now(),
            )
            self.deliver_messages()

    def settle_everything_twice(self) -> None:
        """As a queue does that delivers every message at least once."""
        for order in Order.objects.order_by("id"):
            self.settle(order)
            self.settle(order)


def assert_one_order_one_charge(till: Till) -> Order:
    """Settle whatever was placed, and hold the gateway's record against the one order."""
    order = Order.objects.get()
    till.settle_everything_twice()
    order.refresh_from_db()
    assert till.charges() == [Charge(order.number, order.total_minor, order.currency)]
    assert order.status == "paid"
    return order


def assert_each_paid_once(till: Till) -> None:
    """Processes are at work: wait for them, then hold every order against the gateway's record."""
    eventually(all_paid, what="paying every order")
    orders = Order.objects.all()
    expected = Counter(Charge(order.number, order.total_minor, order.currency) for order in orders)
    assert Counter(till.charges()) == expected


def all_paid() -> bool:
    return not Order.objects.exclude(status="paid").exists()
