"""The OpenAPI document is what the code says, and the server does what the document says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.utils import timezone

from checkout.api.schema import EXAMPLE, GOOD_KEY, LINKS
from checkout.catalogue.models import Product
from checkout.models import Scope
from checkout.orders.models import Order
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from tests.support.api_caller import Caller, new_caller
from tests.support.factories import placed_order
from tests.support.long import at_length
from tests.support.processes import ROOT, ShopProcesses, WebProcess, run

DOCUMENT = ROOT / "docs" / "openapi.yaml"

# Per operation and phase.
EXAMPLES = 20
FEW_PHASES, PHASES = "stateful", "examples,coverage,fuzzing,stateful"

DECLINED = 30
TO_SEND = 30


def test_document_in_the_repository_is_up_to_date(tmp_path: Path) -> None:
    fresh = tmp_path / "openapi.yaml"
    command = ["manage.py", "spectacular", "--validate", "--fail-on-warn", "--file", str(fresh)]
    assert run([sys.executable, *command], os.environ).returncode == 0

    assert fresh.read_text() == DOCUMENT.read_text(), "make openapi writes it anew"


@pytest.fixture
def caller(shelf: list[Product]) -> Caller:
    """One who may ask everything that the document has."""
    return new_caller(scopes=Scope.values)


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("phases", "examples"), [(FEW_PHASES, 8), *at_length((PHASES, EXAMPLES))])
def test_server_does_what_the_document_says(
    processes: ShopProcesses,
    caller: Caller,
    shelf: list[Product],
    tmp_path: Path,
    phases: str,
    examples: int,
) -> None:
    """schemathesis asks everything that the document allows and much that it does not, and follows
    the links from one answer to the next request."""
    web = processes.web()
    Product.objects.filter(sku="SKU-01").update(sku=EXAMPLE["lines"][0]["sku"], price_minor=1450)
    declined = [caller.place(None, EXAMPLE).json["reference"] for _ in range(DECLINED)]
    Order.objects.update(status="payment_failed", sweep_at=None)
    to_send = [placed_order(shelf[0]) for _ in range(TO_SEND)]
    for order in to_send:
        transition(order.pk, OrderStatus.PAID, reason="A test", now=timezone.now())

    ran = run_schemathesis(
        web,
        caller,
        tmp_path,
        [f"--phases={phases}", f"--max-examples={examples}"],
        DECLINED_ORDERS=" ".join(declined),
        ORDERS_TO_SEND=" ".join(order.reference for order in to_send),
    )

    print(ran.stdout)
    assert ran.returncode == 0, ran.stderr
    assert "9 selected / 9 total" in ran.stdout
    links = re.search(r"(\d+) covered / \d+ selected", ran.stdout)
    assert links
    assert int(links[1]) >= len(LINKS)
    assert Order.objects.count() > DECLINED + TO_SEND
    assert '"levelname": "ERROR"' not in processes.said()


def run_schemathesis(
    web: WebProcess, caller: Caller, folder: Path, options: list[str], **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("schemathesis")), "run"]
    command += [
        f"{web.url}/api/v1/openapi.yaml",
        "--header",
        f"Authorization: Bearer {caller.token}",
    ]
    command += [*options, "--seed=1", "--continue-on-failure", "--no-color"]
    command += ["--request-timeout=60"]
    # The document does not tell all rules of an address; what it allows may be refused.
    command += ["--checks=all", "--exclude-checks=positive_data_acceptance"]
    return subprocess.run(
        command,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.api.schemathesis_hooks",
            "GOOD_KEY": GOOD_KEY,
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
