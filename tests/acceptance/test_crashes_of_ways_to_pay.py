"""The crash matrix of the ways to pay that are no card: a page of the gateway's, and a transfer.

Whatever died, the customer pays once, and is told so by books that are clean.
"""

from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from checkout.orders.queue.sqs import PaymentsQueue
from checkout.runtime.faultpoints import WORKER
from config.local.sqs_double.server import QueueServer
from payments.gateways.bank_transfer.client import BankTransferGateway
from payments.gateways.bank_transfer.models import ReceivedTransfer
from payments.gateways.load import Gateways
from payments.gateways.mollie.client import MollieGateway
from payments.models import Payment, Refund
from payments.refunds import request_refund
from payments.sandbox.mollie.server import MollieSandbox
from tests.support.crashes import DEATHS, SIGKILLED, Afterwards, each_once, work_through
from tests.support.factories import placed_order
from tests.support.long import at_length
from tests.support.processes import START_SECONDS, ShopProcesses, eventually
from tests.support.till import Charge, charges_at

pytestmark = pytest.mark.usefixtures("exact_sqs")

SHOP = "https://shop.example"

# One call opens the payment and tells the customer's page: there is none that confirms.
OPENING = [place for place in WORKER[: WORKER.index("refund sent")] if place != "confirm sent"]
# Before a gateway is called, and when all is stored that it said, nobody knows which one it was.
WHATEVER_GATEWAY = ["message received", "attempt committed", "message deleted"]
FINDING_PAID = ["message received", "outcome committed", "message deleted"]


@pytest.fixture(autouse=True)
def _short_times(settings: Settings) -> None:
    settings.MESSAGE_VISIBILITY_SECONDS = 3
    settings.PAYMENT_LEASE_SECONDS = 2
    settings.SHOP_URL = SHOP
    settings.PAYMENT_OFFERS = []


class AtMollie:
    """A shop whose only way to pay is Mollie, and what its customers do there."""

    def __init__(self, sandbox: MollieSandbox, queue: PaymentsQueue, sqs: QueueServer) -> None:
        self.sandbox = sandbox
        self.ours = MollieGateway(api_key="test_shop", api_base=sandbox.url, timeout_seconds=20.0)
        gateways = Gateways({"mollie": self.ours})
        self.afterwards = Afterwards(gateways, lambda: charges_at(sandbox.url), queue, sqs)
        self.environment = {
            "PAYMENT_GATEWAYS": "mollie",
            "PAYMENT_OFFERS": "",
            "MOLLIE_API_KEY": "test_shop",
            "MOLLIE_API_BASE": sandbox.url,
            "SHOP_URL": SHOP,
        }

    def deliver(self) -> None:
        self.afterwards.publish()
        self.afterwards.work()

    def is_done(self) -> bool:
        """Whether the worker that was started has done everything."""
        self.afterwards.time_passes()
        self.afterwards.publish()
        return self.afterwards.is_quiet()

    def has_refund(self, status: str) -> bool:
        self.afterwards.time_passes()
        self.afterwards.publish()
        return Refund.objects.get().status == status

    def customer_pays(self) -> None:
        """They pay on Mollie's page; the hook that follows says only that something changed."""
        order, payment = Order.objects.get(), Payment.objects.get()
        assert order.status == "action_required"
        there = {"status": "paid"}
        requests.post(order.action_url, data=there, timeout=5, allow_redirects=False)
        body = urlencode({"id": payment.gateway_payment_id})
        form = "application/x-www-form-urlencoded"
        assert Client().post("/payments/webhooks/mollie/", body, form).status_code == 200


@pytest.fixture
def at_mollie(
    settings: Settings, mollie: MollieSandbox, queue: PaymentsQueue, exact_sqs: QueueServer
) -> AtMollie:
    settings.PAYMENT_GATEWAYS = {"mollie": "payments.gateways.mollie"}
    return AtMollie(mollie, queue, exact_sqs)


@pytest.mark.parametrize("fault", each_once(*OPENING, acts=DEATHS, leave_out=WHATEVER_GATEWAY))
def test_worker_fails_while_it_opens_the_gateways_page(
    processes: ShopProcesses, at_mollie: AtMollie, shelf: list[Product], fault: str
) -> None:
    placed_order(shelf[0], payment_method="")
    at_mollie.afterwards.publish()

    work_through(fault, processes, at_mollie.afterwards, **at_mollie.environment)

    at_mollie.customer_pays()
    eventually(at_mollie.is_done, what="finding the order paid")
    order = at_mollie.afterwards.assert_one_order_one_charge()
    assert len(list(at_mollie.ours.list_since(order.placed_at))) == 1  # none is left to be paid


@pytest.mark.parametrize(
    "fault", each_once(*FINDING_PAID, begin=1, acts=DEATHS, leave_out=WHATEVER_GATEWAY)
)
def test_worker_fails_while_it_finds_what_the_customer_paid(
    processes: ShopProcesses, at_mollie: AtMollie, shelf: list[Product], fault: str
) -> None:
    placed_order(shelf[0], payment_method="")
    at_mollie.deliver()
    at_mollie.customer_pays()
    at_mollie.afterwards.publish()

    work_through(fault, processes, at_mollie.afterwards, **at_mollie.environment)

    at_mollie.afterwards.assert_one_order_one_charge()


@pytest.mark.parametrize("fault", each_once("refund sent", begin=3, acts=DEATHS))
def test_worker_fails_while_it_refunds_at_mollie(
    processes: ShopProcesses, at_mollie: AtMollie, shelf: list[Product], fault: str
) -> None:
    placed_order(shelf[0], payment_method="")
    at_mollie.deliver()
    at_mollie.customer_pays()
    at_mollie.deliver()
    payment, now = Payment.objects.get(), timezone.now()
    request_refund(payment, amount_minor=400, reason="Torn", requested_by=None, now=now)
    at_mollie.afterwards.publish()

    worker = processes.worker(FAULT_POINT=fault, **at_mollie.environment)
    if fault.startswith("end"):
        assert worker.wait(timeout=START_SECONDS) == SIGKILLED
        processes.worker(**at_mollie.environment)
    eventually(lambda: at_mollie.has_refund("pending"), seconds=60, what="sending the money back")

    [there] = at_mollie.sandbox.account.refunds()
    assert there["amount"]["value"] == "4.00"
    at_mollie.sandbox.account.move_refund(there["id"], "refunded")
    eventually(lambda: at_mollie.has_refund("succeeded"), what="hearing that it was sent")
    assert Order.objects.get().status == "partly_refunded"


IMPORT = """reference,date,amount,text
B-1,2026-11-27,4.00,{number} first part
B-2,2026-11-28,6.01,{number} the rest
B-3,2026-11-28,7.77,thank you
"""
IMPORTING = ["kill after", "cut before", *at_length("kill before", "cut after")]


@pytest.mark.parametrize("fault", IMPORTING)
def test_import_of_the_banks_file_dies_and_is_run_again(
    processes: ShopProcesses,
    queue: PaymentsQueue,
    exact_sqs: QueueServer,
    shelf: list[Product],
    tmp_path: Path,
    fault: str,
) -> None:
    def charges() -> list[Charge]:
        found = Order.objects.filter(status="paid")
        return [Charge(order.number, order.total_minor, order.currency) for order in found]

    gateways = Gateways({"bank_transfer": BankTransferGateway()})
    afterwards = Afterwards(gateways, charges, queue, exact_sqs)
    order = placed_order(shelf[0], payment_method="")
    Order.objects.update(gateway="bank_transfer")
    afterwards.publish()
    afterwards.work()
    file = tmp_path / "bank.csv"
    file.write_text(IMPORT.format(number=order.number))
    record = ("record_transfers", str(file), "--by=ada")

    first = processes.manage(*record, FAULT_POINT=f"{fault} transfer committed").wait(timeout=60)
    again = processes.manage(*record).wait(timeout=60)
    third = processes.manage(*record).wait(timeout=60)

    assert first == SIGKILLED if fault.startswith("kill") else first in (0, 1)
    assert (again, third) == (0, 0)
    came = ReceivedTransfer.objects.order_by("bank_reference")
    assert [each.amount_minor for each in came] == [400, 601, 777]
    assert [each.expected_id is not None for each in came] == [True, True, False]
    afterwards.publish()
    afterwards.work()
    order = Order.objects.get()
    assert order.status == "paid"
    assert order.events.filter(to_status="paid").count() == 1
    assert [payment.taken_minor for payment in Payment.objects.all()] == [order.total_minor]
