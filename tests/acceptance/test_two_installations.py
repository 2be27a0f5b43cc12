"""Two installations on one account of the gateway and one queue, and one of them restored from an
older backup, with all their processes: no order is paid by another's charge, no payment of
another's is cancelled, and every order that the backup has lost is named."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.queue.sqs import PaymentsQueue
from payments.gateways.base import GatewayPayment, GatewayState
from payments.gateways.stripe.client import StripeGateway
from payments.sandbox.clock import Clock, utc_now
from payments.sandbox.server import SandboxServer
from tests.support.long import long
from tests.support.processes import ShopProcesses, database_url, eventually, run
from tests.support.shopper import OverHttp, Shopper, somebody_else

pytestmark = pytest.mark.usefixtures("exact_sqs")

# The cards of those who buy at each installation, one order for each.
PAYS, DECLINES, ASKS = (
    "pm_card_visa",
    "pm_card_chargeDeclined",
    "pm_card_authenticationRequired",
)
# A worker of the other installation may be the one that receives a message, five times in a row,
# and holds the message back for longer each time.
SECONDS = 150
SETTLED = {PAYS: "paid", DECLINES: "payment_failed", ASKS: "action_required"}


@pytest.fixture
def sandbox_clock() -> Clock:
    """The gateway opens everything two hours ago, so that reconciliation finds nothing too young
    to touch."""
    return lambda: utc_now() - timedelta(hours=2)


@dataclass
class Databases:
    """Copies of the test's database, which nobody uses meanwhile."""

    made: list[str]

    def copy(self, source: str, name: str) -> str:
        connection.close()
        self._do(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        self.made.append(name)
        return name

    def drop_all(self) -> None:
        while self.made:
            self._do(f'DROP DATABASE "{self.made.pop()}" WITH (FORCE)')

    def _do(self, statement: str) -> None:
        with psycopg.connect(url_of("postgres"), autocommit=True) as admin:
            admin.execute(statement)


def url_of(database: str) -> str:
    return database_url().rpartition("/")[0] + f"/{database}"


@pytest.fixture
def databases() -> Iterator[Databases]:
    databases = Databases([])
    yield databases
    databases.drop_all()


@dataclass(frozen=True)
class Order:
    number: str
    reference: str
    status: str


@dataclass
class Installation:
    database: str
    processes: ShopProcesses

    @property
    def orders(self) -> list[Order]:
        rows = self.read("SELECT number, reference, status FROM orders_order ORDER BY id")
        return [Order(*row) for row in rows]

    @property
    def name(self) -> str:
        [(name,)] = self.read("SELECT installation_id FROM orders_installation")
        return str(name)

    def read(self, statement: str) -> list[tuple[str, ...]]:
        with psycopg.connect(url_of(self.database)) as reader:
            return reader.execute(statement).fetchall()

    def buy(self, web: str, *cards: str) -> list[Order]:
        before = len(self.orders)
        for card in cards:
            buyer = somebody_else() | {"payment_method": card}
            assert Shopper(OverHttp(web), buyer).buy("SKU-01").status == 303
        return self.orders[before:]

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        return run(command, self.processes.environment).stdout

    def reconcile(self) -> dict[str, object]:
        options = ["--repair", "--yes", "--since=72h", "--json"]
        told: dict[str, object] = json.loads(self.manage("reconcile_payments", *options))
        return told

    def audit(self) -> list[str]:
        """It asks for what the gateway opened since the first order was placed."""
        with psycopg.connect(url_of(self.database)) as writer:
            writer.execute("UPDATE orders_order SET placed_at = placed_at - interval '3 hours'")
        report = json.loads(self.manage("audit_orders", "--json", "--no-queue"))
        return [row for check in report["checks"] for row in check["rows"]]

    def statuses(self) -> list[str]:
        return [order.status for order in self.orders]

    def start(self) -> str:
        self.processes.publisher()
        self.processes.worker()
        return self.processes.web().url


@pytest.fixture
def installations(
    tmp_path: Path,
    shelf: list[Product],
    queue: PaymentsQueue,
    sandbox: SandboxServer,
    databases: Databases,
) -> Iterator[list[Installation]]:
    """Of one catalogue, with the same numbers to give to orders and to rows."""
    template = connection.settings_dict["NAME"]
    made = []
    for letter in "ab":
        logs = tmp_path / letter
        logs.mkdir()
        database = databases.copy(template, f"{template}_{letter}")
        processes = ShopProcesses(
            logs,
            STRIPE_API_BASE=sandbox.url,
            SHOP_URL="http://shop.example",
            DATABASE_URL=url_of(database),
            # What the other's workers have received too often goes out again.
            SWEEP_AFTER_SECONDS="5",
            SWEEP_EVERY_SECONDS="1",
        )
        made.append(Installation(database, processes))
    made[1].manage("renew_installation", "--yes")
    yield made
    for one in made:
        one.processes.stop()
        print(one.processes.said())


def all_at(gateway: StripeGateway) -> list[GatewayPayment]:
    return list(gateway.list_since(timezone.now() - timedelta(days=1)))


def charged_for(gateway: StripeGateway, installation: Installation) -> list[str]:
    """The references of whose orders were charged, once for each charge."""
    return sorted(
        payment.order.reference
        for payment in all_at(gateway)
        if payment.state is GatewayState.PAID and payment.order.installation == installation.name
    )


def paid_by(installation: Installation, gateway: StripeGateway) -> dict[str, str]:
    """Of each order that is paid, the reference that its charge names at the gateway."""
    rows = installation.read(
        "SELECT o.reference, p.gateway_payment_id FROM payments_payment p "
        "JOIN orders_order o ON o.id = p.order_id WHERE p.status = 'paid'"
    )
    return {reference: gateway.retrieve(id_).order.reference for reference, id_ in rows}


def is_settled(installation: Installation, cards: list[str]) -> bool:
    return installation.statuses() == [SETTLED[card] for card in cards]


def until_settled(installation: Installation, cards: list[str], *, what: str) -> None:
    eventually(lambda: is_settled(installation, cards), seconds=SECONDS, what=f"settling {what}")


@long
@pytest.mark.timeout(900)
def test_two_installations_and_a_restored_one_take_over_nothing_of_each_other(
    installations: list[Installation], gateway: StripeGateway, databases: Databases
) -> None:
    a, b = installations
    assert a.name != b.name
    cards_of_a, cards_of_b = [PAYS, ASKS, DECLINES], [DECLINES, PAYS, ASKS]
    webs = [a.start(), b.start()]
    a.buy(webs[0], *cards_of_a)
    b.buy(webs[1], *cards_of_b)
    assert [order.number for order in a.orders] == [order.number for order in b.orders]

    until_settled(a, cards_of_a, what="all of the one")
    until_settled(b, cards_of_b, what="all of the other")
    for one in (a, b):
        told = one.reconcile()
        assert (told["differences"], told["strangers"], one.audit()) == ([], 3, [])
    assert_nothing_was_taken_over(a, b, gateway, waiting_at_the_bank=2)

    for one in (a, b):
        one.processes.stop()
    backup = databases.copy(a.database, f"{a.database}_backup")
    lost = a.buy(a.start(), PAYS, ASKS, DECLINES)
    until_settled(a, [*cards_of_a, PAYS, ASKS, DECLINES], what="the lost hour")
    a.processes.stop()
    a.database = backup
    a.processes.environment = dict(a.processes.environment) | {"DATABASE_URL": url_of(backup)}
    web = a.start()
    again = a.buy(web, DECLINES, PAYS, ASKS)
    assert [order.number for order in again] == [order.number for order in lost]
    until_settled(a, [*cards_of_a, DECLINES, PAYS, ASKS], what="anew")

    told = a.reconcile()

    differences = told["differences"]
    assert isinstance(differences, list)
    assert {one["kind"] for one in differences} == {"there for an order of ours that is lost here"}
    assert sorted(one["reference"] for one in differences) == sorted(o.reference for o in lost)
    named = a.read("SELECT reference FROM payments_lostorder WHERE seen_to_at IS NULL")
    assert sorted(reference for (reference,) in named) == sorted(o.reference for o in lost)
    rows = a.audit()
    assert all(any(order.reference in row for row in rows) for order in lost)
    assert b.reconcile()["differences"] == []
    paid_and_lost = [lost[0].reference]
    assert_nothing_was_taken_over(a, b, gateway, waiting_at_the_bank=4, lost=paid_and_lost)


def assert_nothing_was_taken_over(
    a: Installation,
    b: Installation,
    gateway: StripeGateway,
    *,
    waiting_at_the_bank: int,
    lost: list[str] = [],  # noqa: B006 - is not changed
) -> None:
    for one, gone in ((a, lost), (b, [])):
        paid = sorted(order.reference for order in one.orders if order.status == "paid")
        assert charged_for(gateway, one) == sorted([*paid, *gone])
        named = paid_by(one, gateway)
        assert (sorted(named), named) == (paid, {reference: reference for reference in paid})
    states = [payment.state for payment in all_at(gateway)]
    assert states.count(GatewayState.NEEDS_ACTION) == waiting_at_the_bank
    assert GatewayState.CANCELLED not in states
