"""The commands of docs/api.md, run as they stand."""

import json
import re
import subprocess
from collections.abc import Iterator
from shutil import which
from typing import Any

import pytest
from django.core.management import call_command

from checkout.orders.models import Order
from tests.support.processes import ROOT, ShopProcesses
from tests.support.till import Till, assert_each_paid_once


def script() -> str:
    page = (ROOT / "docs" / "api.md").read_text()
    return "\n".join(re.findall(r"```bash\n(.*?)```", page, re.DOTALL))


def documents(output: str) -> Iterator[Any]:
    """The JSON documents that were printed one after the other."""
    while output := output.lstrip():
        document, end = json.JSONDecoder().raw_decode(output)
        yield document
        output = output[end:]


@pytest.mark.django_db(transaction=True)
def test_curl_comes_from_nothing_to_an_order_that_is_paid_and_sent(
    processes: ShopProcesses, till: Till
) -> None:
    for program in ("bash", "curl"):
        if not which(program):
            pytest.skip(f"There is no {program} here, by which docs/api.md talks to the API.")
    call_command("load_demo_catalogue", verbosity=0)
    web = processes.web()
    processes.publisher()
    processes.worker()

    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script()],
        cwd=ROOT,
        env={**processes.environment, "SHOP": web.url},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    products, quote, order, waiting, parcel = documents(ran.stdout)
    assert "NB-A5-DOT" in [product["sku"] for product in products["results"]]
    assert quote["goods"] == "29.00"
    assert (order["status"], order["charged"]) == ("paid", True)
    assert order["total"] == quote["methods"][0]["total"]
    assert [each["reference"] for each in waiting["results"]] == [order["reference"]]
    assert [(line["sku"], line["quantity"]) for line in parcel["lines"]] == [("NB-A5-DOT", 2)]
    assert Order.objects.get().dispatch_status == "sent"
    assert_each_paid_once(till)
