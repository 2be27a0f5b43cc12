"""A workflow that sells, the shoppers who were sent to it, and the records kept of them.

The shop is one. Another workflow has web processes, a database and a gateway of its own, from the
moment it is chosen until another one is.
"""

import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import requests
from psycopg import sql

from config.local.crowd.orders import MadeOrder, orders_in, unfinished_in
from config.local.crowd.records import PostLog
from config.local.crowd.shoppers import AtOurShop, Buyer, Crowd, Plan, plan_of
from config.local.designs.stand_in import Addresses, StandIn
from config.local.postgres import EmbeddedPostgres
from config.local.postgres_proxy import PostgresProxy
from config.local.processes import CannotStart, Child, free_port, wait_until
from config.local.sqs import JournalledSQS
from config.local.watching import Watch
from payments.sandbox.for_demo import BY_CARD, SANDBOXES, of_another_workflow

ROOT = Path(__file__).resolve().parents[3]

SHOP = "once"

# So many shoppers act in the same moment at most; each may press five times at once.
CROWD_THREADS = 16

# One hundred shoppers come within so many seconds, and fewer of them sooner.
ARRIVAL_SECONDS = 10.0

START_SECONDS = 90.0

# Orders of visitors that were placed before this page began may be charged after it.
BEFORE_SECONDS = 24 * 60 * 60

PHONE = "+353 21 555 0100"

# Parts of the demo that no workflow has for itself, by their names.
POSTGRES, SQS, MESSAGES = "Postgres", "SQS", "the messages of the queue"

# Databases of other workflows begin with this; those that a killed demo left behind are dropped.
DATABASE_PREFIX = "break_it_"

PLENTY_OF_STOCK = """
    WITH received AS (
        UPDATE catalogue_product SET stock = stock + 5000 WHERE stock < 2000 AND is_on_sale
        RETURNING id
    )
    INSERT INTO catalogue_stockmovement (product_id, change, kind)
    SELECT id, 5000, 'received' FROM received
"""


@dataclass(kw_only=True)
class RunningShop:
    """What `make demo` has started. Without `postgres` or `sqs`: somebody named their own."""

    name: str  # as its customers know it
    url: str
    folder: Path
    database: str  # its address, past the wire that can be cut
    sandbox_url: str
    ledger: Path
    queue: str
    watch: Watch
    postgres: EmbeddedPostgres | None = None
    wire: PostgresProxy | None = None
    sqs: JournalledSQS | None = None


@dataclass(kw_only=True)
class Scene:
    key: str
    folder: Path
    urls: list[str]
    sandbox_url: str
    ledger: Path
    queue: str  # empty: this workflow has none
    database: str
    buyer: Buyer
    log: PostLog
    roles: Mapping[str, list[Child]]  # web, publisher, worker and others
    journal: Path | None  # of the queue; None: somebody else's queue keeps none
    stand_in: StandIn | None = None
    addresses: Addresses | None = None
    crowd: Crowd = field(default_factory=lambda: Crowd(CROWD_THREADS))
    plans: list[Plan] = field(default_factory=list)
    began: float = field(default_factory=time.time)
    is_bank_away: bool = False
    run: str = field(default_factory=lambda: secrets.token_hex(2))

    @property
    def is_shop(self) -> bool:
        return self.stand_in is None

    def is_ours(self, purchase: str) -> bool:
        """Whether this page sent its shopper."""
        return purchase.startswith(f"shopper-{self.run}-")

    def is_moving(self, order: MadeOrder) -> bool:
        """Whether a message or call is to pay it. The old workflow pays while its shopper waits."""
        return order.status in ("placed", "pending") and self.key != "old"

    def depends_on(self, part: str) -> bool:
        """Whether a part of the demo, by its name, has to do with this workflow."""
        own = {child.name for children in self.roles.values() for child in children}
        return part in own or part == POSTGRES or (part in (SQS, MESSAGES) and bool(self.queue))

    def orders(self) -> list[MadeOrder]:
        if self.stand_in and self.addresses:
            return self.stand_in.orders(self.addresses)
        return orders_in(self.database, since=self.began - BEFORE_SECONDS)

    def unfinished(self) -> int:
        if self.stand_in and self.addresses:
            return self.stand_in.unfinished(self.addresses)
        return unfinished_in(self.database)

    def send_shoppers(self, count: int) -> None:
        if self.is_shop:
            with psycopg.connect(self.database, connect_timeout=5) as connection:
                connection.execute(PLENTY_OF_STOCK)
        first = len(self.plans) + 1
        plans = [self._plan(number) for number in range(first, first + count)]
        self.plans += plans
        if first == 1:
            self.crowd.start()
        arrival = ARRIVAL_SECONDS * min(1.0, count / 100)
        for place, plan in enumerate(plans):
            life = self.buyer(plan, self.urls, self.log)
            self.crowd.add(life, after_seconds=place / count * arrival)

    def _plan(self, number: int) -> Plan:
        """The shopper pays by card, since the other workflows know nothing else. Their address was
        never used before, so that whoever buys has one purchase to make."""
        plan = plan_of(number, int(self.run, 16))
        return replace(
            plan, purchase=f"shopper-{self.run}-{number:04d}@example.com", way=BY_CARD, code=""
        )

    def close(self) -> None:
        self.crowd.stop()
        self.log.close()


def scene_of_the_shop(shop: RunningShop) -> Scene:
    names = ("web", "publisher", "worker", "mailer", *SANDBOXES)
    roles = {name: [part] for name in names if (part := shop.watch.part(name))}
    folder = _new_folder(shop, SHOP)
    return Scene(
        key=SHOP,
        folder=folder,
        urls=[shop.url],
        sandbox_url=shop.sandbox_url,
        ledger=shop.ledger,
        queue=shop.queue,
        database=shop.database,
        buyer=AtOurShop(phone=PHONE),
        log=PostLog(folder / "posts.jsonl"),
        roles=roles,
        journal=shop.sqs.journal if shop.sqs else None,
    )


def start_stand_in(shop: RunningShop, key: str) -> Scene:
    """Start another workflow beside the shop. It is up when this returns."""
    stand_in = StandIn(key)
    if shop.postgres is None:
        raise CannotStart("Another workflow needs a database, and the one you named is left alone.")
    if stand_in.purges and shop.sqs is None:
        raise CannotStart("This workflow needs the demo's own SQS, and you have named yours.")
    if stand_in.purges and shop.sqs and not shop.sqs.child.is_running:
        raise CannotStart("SQS is stopped, and this workflow needs it. Start SQS first.")
    scene = _scene_of(stand_in, shop)
    for part in _all(scene.roles):
        shop.watch.add(part)
    ready = [f"{url}/readyz" for url in scene.urls] + [f"{scene.sandbox_url}/sandbox/faults"]
    if not wait_until(lambda: all(_answers(url) for url in ready), seconds=START_SECONDS):
        end_stand_in(shop, scene)
        raise CannotStart(f"The workflow {key} does not answer. Its logs are in {scene.folder}.")
    return scene


def _scene_of(stand_in: StandIn, shop: RunningShop) -> Scene:
    """What the workflow needs, and its processes, which nobody has started yet."""
    key, folder = stand_in.name, _new_folder(shop, stand_in.name)
    database = _create_database(shop.database, key)
    sandbox_url = f"http://127.0.0.1:{free_port()}"
    queue = f"{key}-{secrets.token_hex(3)}.fifo" if stand_in.purges else ""
    web = [free_port(), free_port()]
    addresses = Addresses(_environment(database, sandbox_url, queue), web)
    stand_in.prepare(addresses)
    wired = over_wire(database, shop.wire) if shop.wire else database
    at_work = Addresses({**addresses.environment, "DATABASE_URL": wired}, web)
    return Scene(
        key=key,
        folder=folder,
        urls=[f"http://127.0.0.1:{port}" for port in web],
        sandbox_url=sandbox_url,
        ledger=folder / "ledger.jsonl",
        queue=queue,
        database=database,
        buyer=stand_in.buyer,
        log=PostLog(folder / "posts.jsonl"),
        roles=_children(stand_in, at_work, sandbox_url, folder),
        journal=shop.sqs.journal if shop.sqs else None,
        stand_in=stand_in,
        addresses=addresses,
    )


def end_stand_in(shop: RunningShop, scene: Scene) -> None:
    # Nobody needs what they have in hand, and their shoppers leave as soon as nobody answers.
    shop.watch.end(_all(scene.roles), seconds=0.2)
    scene.close()
    drop_databases(shop.database, like=urlsplit(scene.database).path.removeprefix("/"))


def drop_databases(server: str, like: str = f"{DATABASE_PREFIX}%") -> None:
    with psycopg.connect(server, autocommit=True, connect_timeout=5) as connection:
        query = "SELECT datname FROM pg_database WHERE datname LIKE %s"
        for (name,) in connection.execute(query, [like]).fetchall():
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(name)))


def over_wire(database: str, wire: PostgresProxy) -> str:
    """The same database, by the wire that can be cut."""
    parts = urlsplit(database)
    login, _, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{login}@127.0.0.1:{wire.port}").geturl()


def _new_folder(shop: RunningShop, key: str) -> Path:
    folder = shop.folder / "break-it" / key
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _create_database(server: str, key: str) -> str:
    name = f"{DATABASE_PREFIX}{key.replace('-', '_')}_{secrets.token_hex(3)}"
    with psycopg.connect(server, autocommit=True, connect_timeout=5) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlsplit(server)._replace(path=f"/{name}").geturl()


def _environment(database: str, sandbox_url: str, queue: str) -> dict[str, str]:
    return os.environ | {
        "DATABASE_URL": database,
        **of_another_workflow(sandbox_url),
        "PAYMENTS_QUEUE_NAME": queue or "none.fifo",
        "TOPIC_URL": f"http://127.0.0.1:{free_port()}/",
    }


def _children(
    stand_in: StandIn, at: Addresses, sandbox_url: str, folder: Path
) -> dict[str, list[Child]]:
    manage = [sys.executable, str(ROOT / "manage.py")]
    sandbox = [*manage, "run_sandbox_gateway", "--port", sandbox_url.rpartition(":")[2]]
    commands = [("bank", [*sandbox, "--ledger", str(folder / "ledger.jsonl")])]
    commands += [(part.role, part.command) for part in stand_in.parts(at)]
    roles: dict[str, list[Child]] = {}
    for role, command in commands:
        others = roles.setdefault(role, [])
        name = f"{stand_in.name} {role} {len(others) + 1}"
        others.append(
            Child(
                name=name,
                command=command,
                log=folder / f"{role}-{len(others) + 1}.log",
                environment=at.environment,
                directory=ROOT,
            )
        )
    return roles


def _all(roles: Mapping[str, Iterable[Child]]) -> list[Child]:
    return [child for children in roles.values() for child in children]


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False
