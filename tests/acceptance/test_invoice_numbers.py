"""Workers settle and refund at once and are killed meanwhile: no number is missing or double."""

import json
import os
import subprocess

import pytest
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Invoice, InvoiceCounter, Order
from payments.books.audit import audit_database
from payments.models import Refund
from payments.sandbox.server import SandboxServer
from tests.support.factories import placed_order
from tests.support.invoice_clerks import START
from tests.support.long import at_length
from tests.support.processes import ROOT, database_url
from tests.support.sellers import SELLER_ENVIRONMENT


@pytest.mark.timeout(2400)
@pytest.mark.parametrize(("workers", "orders"), [(4, 12), *at_length((16, 1000))])
def test_numbers_follow_each_other_whoever_dies(
    workers: int, orders: int, shelf: list[Product], sandbox: SandboxServer
) -> None:
    for _ in range(orders):
        placed_order(shelf[0])

    ran = subprocess.run(
        [*START, str(workers)],
        cwd=ROOT,
        env={
            **os.environ,
            **SELLER_ENVIRONMENT,
            "DATABASE_URL": database_url(),
            "STRIPE_API_BASE": sandbox.url,
            "STRIPE_SECRET_KEY": "sk_test_clerks",
            "PAYMENT_LEASE_SECONDS": "1",
            "LOG_LEVEL": "CRITICAL",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60 + 2 * orders,
    )

    assert ran.returncode == 0, ran.stderr[-3000:]
    done = json.loads(ran.stdout)
    print(done)
    assert done["killed"] + done["killed at the counter"] > 0
    for kind, counter in (("invoice", "INV"), ("credit_note", "CN")):
        sequences = Invoice.objects.filter(kind=kind).order_by("sequence")
        assert list(sequences.values_list("sequence", flat=True)) == [*range(1, orders + 1)]
        assert InvoiceCounter.objects.get(series=counter).last == orders
    assert Refund.objects.filter(status="succeeded").count() == orders
    assert Invoice.objects.filter(kind="invoice").values("order").distinct().count() == orders
    assert not Order.objects.exclude(status__in=("partly_refunded", "refunded")).exists()
    broken = [finding for finding in audit_database(timezone.now()) if finding.count]
    assert broken == []
