"""The benchmarks themselves stay alive; what they measure is not asserted."""

from django.core.management import call_command
from django.utils import timezone

from checkout.orders.models import Order
from payments.admin.dashboard import figures
from payments.books.audit import audit_database
from tests.tools.bench.history import load


def test_loaded_past_looks_like_the_shops_own(transactional_db: None) -> None:
    call_command("load_demo_catalogue", verbosity=0)

    load(500)

    findings = list(audit_database(timezone.now()))
    assert [(finding.promise, finding.rows) for finding in findings if finding.count] == []
    assert Order.objects.filter(status="paid").count() == 490
    assert figures(now=timezone.now())["charts"][0].total == "500"
