"""The benchmarks stay alive, and compare like with like. What they measure is not asserted."""

import fcntl
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.models import Cart
from checkout.orders.models import LimitCount, Order
from checkout.tokens import read_token
from config.local.processes import CannotStart
from tests.support.long import long
from tests.support.shopper import read_form
from tests.tools.bench.__main__ import Report
from tests.tools.bench.figures import Figures, Round
from tests.tools.bench.goals import by_name, verdicts
from tests.tools.bench.idling import WEB, commands
from tests.tools.bench.options import Options
from tests.tools.bench.over_http import Basket
from tests.tools.bench.pgbench import program
from tests.tools.bench.placing import PLAIN
from tests.tools.bench.purchases import FIRST_PRODUCT, Purchase, form, stock_shelves
from tests.tools.bench.report import as_plain, with_tables
from tests.tools.bench.resident import memory_of
from tests.tools.bench.stage import FOLDER, ROOT
from tests.tools.bench.statements import (
    CannotVary,
    Varying,
    script,
    statements_in,
    vary,
    varying_inputs,
)

MACHINE = {
    "cores": 2,
    "processor": "a processor",
    "memory_gb": 8,
    "system": "Linux",
    "python": "3.11",
    "postgres": "15",
    "date": "2026-11-27",
    "minutes": 1.5,
    "run": "full",
}


@pytest.fixture
def purchase(transactional_db: None) -> Purchase:
    stock_shelves()
    return Basket().filled(1)[0]


def browser_of(purchase: Purchase) -> Client:
    client = Client(headers={"X-Forwarded-For": purchase.address})
    client.cookies["sessionid"] = purchase.session_key
    return client


def test_prepared_form_is_the_one_on_the_page(purchase: Purchase) -> None:
    chosen = form(purchase) | {"update_total": "1"}
    page = browser_of(purchase).post("/checkout/", chosen).content.decode()

    shown, prepared = read_form(page, "/checkout/"), form(purchase)

    tokens = [read_token(fields.pop("token"), nonce=purchase.nonce) for fields in (shown, prepared)]
    assert tokens[0].checkout_id == tokens[1].checkout_id
    assert tokens[0].cart_version == tokens[1].cart_version
    assert tokens[0].total_minor == tokens[1].total_minor
    assert tokens[0].basket_digest == tokens[1].basket_digest
    shown_quotes = [token.shown for token in tokens if token.shown]
    # The digest names the products, and the prepared quote is made once for all of one price.
    assert replace(shown_quotes[0], digest="") == replace(shown_quotes[1], digest="")
    assert shown.keys() - {"again"} <= prepared.keys()


def rows_of(purchase: Purchase) -> dict[str, object]:
    order = Order.objects.get(checkout_id=purchase.cart)
    lines = [(line.product_id, line.quantity, line.unit_price_minor) for line in order.lines.all()]
    [event], [mail], [message] = order.events.all(), order.mails.all(), order.outbox_messages.all()
    return {
        "order": (order.status, order.total_minor, order.city, order.language, order.number != ""),
        "lines": sorted((price, quantity) for _, quantity, price in lines),
        "parts": (order.goods_minor, order.delivery_minor, order.tax_minor, order.taxes),
        "event": (event.kind, event.from_status, event.to_status, event.reason),
        "mail": (mail.kind, mail.event_id == event.pk),
        "message": (message.kind, message.generation, message.traceparent != ""),
        "cart is closed": Cart.objects.get(pk=purchase.cart).closed_at is not None,
        "movements": sorted(order.stock_movements.values_list("kind", "change")),
        "stock": {
            Product.objects.get(pk=product_id).stock - 1_000_000_000 for product_id, _, _ in lines
        },
    }


def test_plain_view_stores_what_the_shop_stores(purchase: Purchase, settings: Settings) -> None:
    settings.LIMIT_PLACING = {}
    [another] = Basket().filled(1)
    ours = browser_of(purchase).post("/checkout/", form(purchase))
    settings.ROOT_URLCONF = PLAIN.replace("_wsgi", "")

    plain = browser_of(another).post("/checkout/", form(another))

    assert (ours.status_code, plain.status_code) == (303, 303)
    assert rows_of(another) == rows_of(purchase)
    assert LimitCount.objects.filter(count=1).count() == 3


def log_of(purchase: Purchase, product: int, order: int) -> str:
    return f"""web|7|LOG:  statement: SELECT 1
web|7|LOG:  execute a: SELECT * FROM s WHERE k = $1 AND v = $2
web|7|DETAIL:  parameters: $1 = '{purchase.session_key}', $2 = 'a:b'
worker|8|LOG:  statement: SELECT of another program
web|7|LOG:  statement: -- why
\tINSERT INTO orders_order (product)
\tVALUES ('{{{product},9}}'::int[]) RETURNING id
web|7|LOG:  statement: INSERT INTO t VALUES ({order}, '2026-11-27 12:00:00+00', 3)
"""


def test_statements_of_a_purchase_become_a_script_of_any(settings: Settings) -> None:
    first, second = Purchase(1_000_000), Purchase(1_000_001)
    logs = [
        statements_in(log_of(first, first.product(0), 7_000_001), of="web"),
        statements_in(log_of(second, second.product(0), 7_000_002), of="web"),
    ]
    rules = [
        *varying_inputs(first, second),
        Varying("7000001", "7000002", "(:order_id)::bigint"),
    ]

    written = script(vary(logs[0], logs[1], rules))

    assert "WHERE k = md5('s' || (:n)::bigint) AND v = ('a' || chr(58) || 'b');" in written
    assert f"('{{' || (({FIRST_PRODUCT} + (" in written
    assert r"RETURNING id \gset order_" in written
    assert "INSERT INTO t VALUES ((:order_id)::bigint, '2026-11-27 12:00:00+00', 3);" in written
    assert "SELECT 1;" not in written
    assert "another program" not in written
    assert "why" not in written


def test_unknown_difference_between_purchases_stops_the_benchmark() -> None:
    with pytest.raises(CannotVary, match=r"Nobody knows how 'x' .* becomes 'y'"):
        vary(["SELECT 'x'"], ["SELECT 'y'"], [])
    with pytest.raises(CannotVary, match="not made alike"):
        vary(["SELECT 1 FROM a"], ["SELECT 1 FROM b"], [])


def test_what_was_measured_before_an_interrupt_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report(tmp_path / "run.json", Options(tiny=True))
    for number, name in enumerate(("placing", "settling")):
        part = Figures(name)
        part.add("over HTTP", "orders/s", [100.0 + number])
        report.add(part, "15.18")

    kept = json.loads((tmp_path / "run.json").read_text())
    assert [part["part"] for part in kept["parts"]] == ["placing", "settling"]
    report.say()
    assert "101.00 orders/s" in capsys.readouterr().out


def test_report_tells_which_goals_are_met() -> None:
    figures = Figures("placing")
    figures.add_ratio("over HTTP ÷ pgbench", [Round(6, []), Round(7, [])], [Round(10, [])] * 2)
    figures.add("over HTTP", "orders/s", [7.0])
    figures.add("over HTTP ÷ plain ORM view", "ratio", [2.0])

    told = {goal["what"]: goal["met"] for goal in verdicts(by_name([figures]))}
    document = with_tables(
        "<!-- bench: goals -->\nof an earlier run\n<!-- /bench -->\n"
        "<!-- bench: lines -->\n<!-- /bench -->\n"
        "<!-- bench: capacity -->\n<!-- /bench -->",
        as_plain([figures], MACHINE),
    )

    assert told["placing over HTTP ÷ pgbench with the same SQL"] is True
    assert told["placing over HTTP ÷ plain ORM view"] is False
    assert told["SQS requests per order under load"] is None
    assert "| placing over HTTP ÷ plain ORM view | ≥ 2.5 | 2 | 2 to 2 | NO |" in document
    assert "| placing: over HTTP ÷ pgbench | 0.65 ratio | 0.6 to 0.7 |" in document
    assert "| machines like this for web and Postgres | 2 | 15 | 143 | 1,429 |" in document
    assert "of an earlier run" not in document


# A run of the bench takes more than a minute where it has the machine for itself.
PATIENT_SECONDS = 400


@pytest.fixture
def alone() -> Iterator[None]:
    """Two runs of the bench at once would want the same folder. The other would be one of another
    run of the tests, since one process has all of these."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@long
@pytest.mark.timeout(PATIENT_SECONDS)
@pytest.mark.usefixtures("alone")
def test_smallest_run_compares_the_server_with_pgbench(tmp_path: Path) -> None:
    try:
        program()
    except CannotStart as missing:
        pytest.skip(str(missing))
    file = tmp_path / "run.json"
    command = [sys.executable, "-m", "tests.tools.bench", "--tiny", "--only", "placing"]

    ran = subprocess.run(
        [*command, "--json", str(file)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr
    [part] = json.loads(file.read_text())["parts"]
    assert {"over HTTP ÷ pgbench", "over HTTP ÷ plain ORM view"} <= {
        figure["name"] for figure in part["figures"]
    }


BENCH_PYTHON = ROOT / ".local" / "bench-venv" / "bin" / "python"


def has_dbos(python: str) -> bool:
    command = [python, "-c", "import dbos, fastapi, uvicorn"]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def python_with_dbos() -> str:
    """The bench has an environment of its own, in which alone DBOS is installed."""
    for python in (sys.executable, str(BENCH_PYTHON)):
        if Path(python).exists() and has_dbos(python):
            return python
    pytest.skip("DBOS is not installed here; `make bench` installs it into .local/bench-venv")


@long
@pytest.mark.timeout(PATIENT_SECONDS)
@pytest.mark.usefixtures("alone")
def test_smallest_run_compares_the_shop_with_one_on_dbos(tmp_path: Path) -> None:
    told = smallest_run("dbos", tmp_path, python=python_with_dbos())

    [part] = told["parts"]
    assert {
        "ours: acknowledged",
        "DBOS, order and queue in one transaction: commits",
        "DBOS, order and queue in one transaction: press → paid, idle, 99 %",
        "DBOS, queued only: acknowledged, web alone",
    } <= {figure["name"] for figure in part["figures"]}
    assert all(figure["rounds"] for figure in part["figures"])
    assert measured_goals(told) == [
        "press to paid, idle, gateway 0 ms, median",
        "press to paid, idle, gateway 0 ms, 99 %",
        "press to paid, a second, gateway over HTTP ÷ DBOS's best way",
        "acknowledged a second ÷ DBOS, order stored by the request",
        "the same, web alone ÷ DBOS, order and queue in one transaction",
        "processor time of an order, Python and Postgres",
        "SQL statements of an order, all processes",
        "commits of an order, autocommitted writes included",
    ]


def smallest_run(part: str, folder: Path, *, python: str = sys.executable) -> dict[str, Any]:
    """What the bench tells of one part."""
    file = folder / "run.json"
    command = [python, "-m", "tests.tools.bench", "--tiny", "--only", part, "--json", str(file)]
    # The bench names the gateways of its own that it offers.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PAYMENT_")
    }
    ran = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    told: dict[str, Any] = json.loads(file.read_text())
    return told


def measured_goals(told: dict[str, Any]) -> list[str]:
    return [goal["what"] for goal in told["goals"] if goal["median"] is not None]


@long
@pytest.mark.timeout(PATIENT_SECONDS)
@pytest.mark.usefixtures("alone")
def test_smallest_run_measures_an_idle_shop(tmp_path: Path) -> None:
    told = smallest_run("idling", tmp_path)

    [part] = told["parts"]
    assert {
        "separate commands: processor, webhooks",
        "separate commands: memory, PSS, worker",
        "run_services: processor, Postgres",
        "run_services: memory, RSS, services",
    } <= {figure["name"] for figure in part["figures"]}
    assert measured_goals(told) == [
        "idle shop: memory without Postgres, run_services",
        "idle shop: memory without Postgres, separate commands",
        "idle shop: processor with Postgres, of one core, run_services",
        "idle shop: processor with Postgres, of one core, separate commands",
    ]


def test_idle_shop_runs_every_process_of_the_procfile() -> None:
    names = re.findall(r"^(\w+):", (ROOT / "Procfile").read_text(), re.MULTILINE)

    assert [WEB, *commands()] == names


# Starts one that does nothing, and does nothing either. They end when nobody holds their input.
PARENT = """
import subprocess, sys
waits = "print('waits', flush=True); sys.stdin.read()"
child = subprocess.Popen([sys.executable, "-c", f"import sys; {waits}"], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_memory_is_that_of_a_process_and_of_all_that_it_started() -> None:
    pipe = subprocess.PIPE
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=pipe, stdout=pipe)
    with parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        taken = memory_of([child])
        rollup = Path(f"/proc/{parent.pid}/smaps_rollup").read_text()
        [own] = re.findall(r"^Rss: +(\d+) kB$", rollup, re.MULTILINE)
        assert 0 < taken.pss < taken.rss
        assert memory_of([parent.pid]).rss == pytest.approx(int(own) + taken.rss, rel=0.1)
