"""What a drill is run on: the product, or a stand-in for another workflow.

Each says which processes it has and what it holds for orders in the end.
"""

import json
import os
import subprocess
import sys
from collections.abc import Set
from pathlib import Path
from typing import Protocol

import psycopg
import requests

from config.local.crowd.orders import MadeOrder, orders_in, unfinished_in
from config.local.crowd.shoppers import AtOurShop, Buyer
from config.local.designs.stand_in import Addresses, Part, StandIn

ROOT = Path(__file__).resolve().parents[3]

WEBHOOK_SECRET = "whsec_of_the_drill"

# What the shop is told beyond the addresses. Leases and time-outs are those that it ships with. The
# sweep is hastened, by `sweep_after_seconds` and below, and so is the end of unpaid orders.
SHOP_ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "DEMO_DIR": os.devnull,
    "SECRET_KEY": "for-the-drill-only-" * 3,
    "ALLOWED_HOSTS": "127.0.0.1",
    "HTTPS_ONLY": "false",
    # A thousand shoppers from one address, whose presses must all be heard.
    "LIMIT_PLACING": "",
    "LIMIT_DECLINES": "",
    "LIMIT_LOOKUP": "",
    "LIMIT_WITHDRAWALS": "",
    "LIMIT_CODES": "",
    "SANDBOX_GATEWAY_ALLOWED": "true",
    "PAYMENT_GATEWAYS": "stripe,mollie,bank_transfer",
    "STRIPE_SECRET_KEY": "sk_test_drill",
    "MOLLIE_API_KEY": "test_of_the_drill",
    "BANK_TRANSFER_HOLDER": "The drill",
    "BANK_TRANSFER_IBAN": "DE89370400440532013000",
    "STRIPE_WEBHOOK_SECRETS": WEBHOOK_SECRET,
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "drill",
    "AWS_SECRET_ACCESS_KEY": "drill",
    "PAYMENTS_QUEUE_NAME": "payments.fifo",
    "SWEEP_EVERY_SECONDS": "5",
    # So that orders are cancelled while others want what they give back: stock, and uses of codes.
    "UNPAID_ORDER_EXPIRES_SECONDS": "60",
    # Invoices are written where the seller is named.
    "SELLER_NAME": "The drill",
    "SELLER_ADDRESS": "1 Test Street, Cork",
    "SELLER_TAX_ID": "IE0000000",
    "SHOP_ORDERS_EMAIL": "shop@example.com",
    "LOG_LEVEL": "INFO",
    "NO_PROXY": "*",
}

SHORTEST_SWEEP_SECONDS = 30.0
SHIPPED_SWEEP_SECONDS = 15 * 60.0
SWEEPS_IN_A_RUN = 8


def sweep_after_seconds(minutes: float) -> float:
    """SWEEP_AFTER_SECONDS of a run that lasts so long: an eighth of it, up to what the shop ships.

    A drill of minutes would not see a sweep that brings back after a quarter of an hour what a
    purged queue has lost. A long run must not keep the pace of a short one: the sweep asks at that
    pace about every order that waits, for its turn or for its customer, and these become many."""
    an_eighth = minutes * 60 / SWEEPS_IN_A_RUN
    return min(max(an_eighth, SHORTEST_SWEEP_SECONDS), SHIPPED_SWEEP_SECONDS)


# Parcels by two methods to three countries, each with taxes of its own, and codes with few uses.
# The demo may have rules already, which then hold beside these.
RULES = """
    INSERT INTO catalogue_taxrate (country, region, tax_class, percent, holds_from, source)
    SELECT country, '', 'standard', percent, '2020-01-01', '' FROM (VALUES
        ('IE', 23), ('DE', 19), ('AT', 20)) t(country, percent)
    ON CONFLICT DO NOTHING;
    WITH method AS (
        INSERT INTO catalogue_deliverymethod (name, duration, tracking_address, tax_class,
            is_priced_by_weight, needs_phone, is_on, position)
        VALUES ('Drill parcel', '2 days', '', 'standard', false, false, true, 0),
               ('Drill express', '1 day', '', 'standard', false, false, true, 1)
        RETURNING id, position
    )
    INSERT INTO catalogue_deliveryprice (method_id, country, at_least, below, price_minor)
    SELECT id, country, at_least, below, price_minor + position * 500 FROM method, (VALUES
        ('', 0, 4000::bigint, 990), ('', 4000, NULL, 0),
        ('DE', 0, NULL, 490), ('AT', 0, 3000, 795), ('AT', 3000, NULL, 395)
    ) p(country, at_least, below, price_minor);
    INSERT INTO catalogue_discountcode (code, kind, percent, "limit", is_on, used, note,
        least_goods_minor)
    VALUES ('FEW-USES', 'percent', 15, 5, true, 0, '', 0),
           ('ONE-USE', 'percent', 33.333, 1, true, 0, '', 0);
"""

# Constraints of lines that are taken out with a guard: they would keep its promise alone.
WITHOUT_CONSTRAINTS = {
    "sent-at-most": ["orders_orderline_sent_at_most"],
}

# So many children are there at least to take over from one that is killed.
WORKER_OPTIONS = ["--processes", "2", "--wait-seconds", "2"]

# Nobody has told it of the queue that took over.
WORKER_OF_A_LOST_QUEUE = [
    *[sys.executable, "manage.py", "run_payment_worker"],
    *["--processes", "1", "--wait-seconds", "2"],
]

# Clerks and support staff, each a process.
DESKS = ("clerk", "clerk", "support", "support")

# Whoever reads the bank's statement into the shop, again and again, until the end.
BOOKKEEPER = "bookkeeper"

# A mailer sends one mail after the other, and each shopper gets some four mails.
MAILERS = 4

MANAGE = [sys.executable, "manage.py"]

START_SECONDS = 60


class System(Protocol):
    name: str
    purges: str  # the queue that a purge empties; none where empty

    @property
    def buyer(self) -> Buyer: ...

    def prepare(self, at: Addresses) -> None: ...
    def parts(self, at: Addresses) -> list[Part]: ...
    def orders(self, at: Addresses) -> list[MadeOrder]: ...
    def unfinished(self, at: Addresses) -> int: ...
    def unknown_charges(self, at: Addresses, charged: Set[str]) -> int: ...


class Ours:
    name = "ours"
    purges = "payments.fifo"

    def __init__(self, without: str = "") -> None:
        self.without = without
        self.buyer = AtOurShop()

    def prepare(self, at: Addresses) -> None:
        for command in (["migrate"], ["ensure_queues"], ["load_demo_catalogue"]):
            subprocess.run(
                [*MANAGE, *command],
                env=at.environment,
                cwd=ROOT,
                check=True,
                stdout=subprocess.DEVNULL,
            )
        with psycopg.connect(at.database) as connection:
            connection.execute(
                "INSERT INTO catalogue_stockmovement (product_id, change, kind) "
                "SELECT id, 1000000 - stock, 'received' FROM catalogue_product"
            )
            connection.execute("UPDATE catalogue_product SET stock = 1000000")
            connection.execute(RULES)
            for constraint in WITHOUT_CONSTRAINTS.get(self.without, ()):
                connection.execute(f"ALTER TABLE orders_orderline DROP CONSTRAINT {constraint}")

    def parts(self, at: Addresses) -> list[Part]:
        wrapped = [sys.executable, "-m", "tests.tools.drill.without", self.without]
        manage = [*wrapped, "manage.py"] if self.without else MANAGE
        gunicorn = [*wrapped, "gunicorn"] if self.without else [sys.executable, "-m", "gunicorn"]
        options = ["--worker-class=gthread", "--threads=8", "--workers=1", "--no-control-socket"]
        worker = [*manage, "run_payment_worker", *WORKER_OPTIONS]
        # As while a shop changes its mind. Whoever begins a payment decides when it is charged.
        machines = [worker, ["env", "CAPTURE=dispatch", *worker]]
        return [
            *[
                Part("web", [*gunicorn, "config.wsgi", f"--bind=127.0.0.1:{port}", *options])
                for port in at.web
            ],
            *[Part("publisher", [*manage, "run_outbox_publisher"])] * 2,
            *[Part("worker", machine, has_children=True) for machine in machines],
            *[Part("mailer", [*manage, "run_mailer"])] * MAILERS,
            *[self._desk(role, at) for role in (*DESKS, BOOKKEEPER, BOOKKEEPER)],
        ]

    def _desk(self, role: str, at: Addresses) -> Part:
        command = [sys.executable, "-m", "tests.tools.drill.desks", role]
        return Part(role, [*command, at.environment["DRILL_JOURNALS"], "1", self.without])

    def orders(self, at: Addresses) -> list[MadeOrder]:
        return orders_in(at.database)

    def unfinished(self, at: Addresses) -> int:
        return unfinished_in(at.database)

    def unknown_charges(self, at: Addresses, charged: Set[str]) -> int:
        """Orders that the gateway charged and the books do not know of, or the reverse. A customer
        may have approved at the bank, and nobody has told the shop."""
        query = """SELECT number FROM orders_order
                   WHERE status IN ('paid', 'partly_refunded', 'refunded')"""
        with psycopg.connect(at.database, connect_timeout=5) as connection:
            known = {number for (number,) in connection.execute(query)}
        return len(known ^ charged)


def system(name: str, without: str = "") -> System:
    return Ours(without) if name == "ours" else StandIn(name)


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def audit_of(at: Addresses) -> tuple[int, dict[str, object]]:
    """The product's own audit, as an operator runs it: exit code and report."""
    ran = subprocess.run(
        [*MANAGE, "audit_orders", "--json"],
        env=at.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        report: dict[str, object] = json.loads(ran.stdout)
    except ValueError:
        report = {"error": ran.stderr[-500:]}
    return ran.returncode, report
