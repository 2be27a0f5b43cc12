"""Our shop and the one on DBOS, each with all its processes, and how orders are placed in them."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count

import psycopg
from django.conf import settings
from django.db import connection

from config.local.processes import Child, free_port
from tests.support.shopper import TYPED
from tests.tools.bench import orders
from tests.tools.bench.contenders import patient
from tests.tools.bench.over_http import Basket, OverHttp
from tests.tools.bench.purchases import Purchase, press
from tests.tools.bench.stage import WEB_PROCESSES, Stage, await_answer

DBOS_APP = "tests.tools.bench.contenders.dbos_shop:app"

# The ways to use DBOS, each of which is a path of its shop.
WAYS = {
    "started": "DBOS, started by the request",
    "queued": "DBOS, queued only",
    "together": "DBOS, order and queue in one transaction",
    "inside": "DBOS, order stored by the workflow",
}
OURS = "ours"


CREATED = "201"
SEE_OTHER = "303"

# The size of the number makes no difference to what is compared.
TOTAL_MINOR = 3000

PAID_AT = """
    SELECT replace(checkout_id::text, '-', ''), extract(epoch FROM settled_at)::float
    FROM payments_payment p JOIN orders_order o ON o.id = p.order_id
"""
PAID_AT_OF_DBOS = "SELECT token, extract(epoch FROM paid_at)::float FROM orders"

_numbers = count(1)


@dataclass(frozen=True)
class Prepared:
    """These presses were not sent yet. Each order will be known by its key."""

    keys: Sequence[str]
    requests: Sequence[bytes]


@dataclass(frozen=True)
class Way:
    """This is how orders are placed in a shop, and how one learns when they were paid."""

    prepare: Callable[[int], Prepared]
    acknowledged: str  # the status of an answer to a press that was taken
    paid_at: Callable[[Sequence[str]], list[float]]  # once all of them are paid


@dataclass(frozen=True)
class Use:
    """These ways want the same of DBOS: each such shop has a database of its own."""

    database: str
    paths: Sequence[str]
    look_seconds: float  # until a process looks at the queue again


# Where the queue is used, it is looked at as often as our publisher looks. Where it is not used,
# DBOS's own setting costs least.
USES = [
    Use("dbos_direct", ["started", "inside"], 1.0),
    Use("dbos_queued", ["queued", "together"], 0.02),
]


# These ways can be measured with the web alone. In the others a workflow begins in the process that
# serves the request, so that no process serves requests alone.
USE_OF_QUEUE = USES[1]


@dataclass(frozen=True)
class Shop:
    over_http: OverHttp
    processes: Sequence[Child]
    ways: Mapping[str, Way]
    # Where nothing but the web has run, what was placed is not to be settled; how many those were.
    forget: Callable[[], int]

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.processes]


@contextmanager
def ours(stage: Stage, stripe_api_base: str = "", *, web_alone: bool = False) -> Iterator[Shop]:
    """It runs what the Procfile runs, but for what sends mails and webhooks, because DBOS's shop
    sends none. Without the address of a gateway, one in the worker's process answers at once. With
    the web alone, orders and their messages are stored and nobody takes them up."""
    gateway = {"STRIPE_API_BASE": stripe_api_base} if stripe_api_base else _in_process()
    with ExitStack() as started:
        web = started.enter_context(stage.web_servers(environment=gateway))
        others = [
            started.enter_context(stage.manage(command, "--skip-checks", environment=gateway))
            for command in ("run_outbox_publisher", "run_payment_worker")
            if not web_alone
        ]
        way = Way(_prepare_ours, SEE_OTHER, _paid_at_ours)
        processes = [*web.values(), *others]
        yield Shop(OverHttp(list(web)), processes, {OURS: way}, orders.forget_unsettled)


def _in_process() -> dict[str, str]:
    return {**patient.OFFERED, patient.SECONDS: "0"}


def _prepare_ours(how_many: int) -> Prepared:
    purchases = Basket().filled(how_many)
    return Prepared([purchase.cart.hex for purchase in purchases], [press(p) for p in purchases])


def _paid_at_ours(keys: Sequence[str]) -> list[float]:
    orders.await_settled()
    with connection.cursor() as cursor:
        cursor.execute(PAID_AT)
        paid_at: dict[str, float] = dict(cursor.fetchall())
    return [paid_at[key] for key in keys]


@contextmanager
def on_dbos(
    stage: Stage, use: Use, stripe_api_base: str = "", *, web_alone: bool = False
) -> Iterator[Shop]:
    """It has as many processes as our shop has for the web, and each settles orders as well. With
    the web alone they listen to no queue, which `DBOS.listen_queues` is for, so that workflows are
    stored in the queue and nobody takes them up."""
    url = stage.url(use.database)
    gateway = {"BENCH_STRIPE_API_BASE": stripe_api_base, patient.SECONDS: "0"}
    gateway |= {"BENCH_LOOK_SECONDS": str(use.look_seconds)}
    gateway |= {"BENCH_TAKES_FROM_QUEUE": "false" if web_alone else "true"}
    with ExitStack() as started:
        ports = [free_port() for _ in range(WEB_PROCESSES)]
        processes = []
        for port in ports:
            # One after the other, because the first makes the tables.
            environment = {**gateway, "DATABASE_URL": url, "DBOS__VMID": f"process-{port}"}
            command = [sys.executable, "-m", "uvicorn", DBOS_APP, f"--port={port}"]
            command += ["--no-access-log", "--log-level=warning"]
            child = started.enter_context(stage.running("dbos", command, environment))
            await_answer(child, f"http://127.0.0.1:{port}/healthz")
            processes.append(child)
        looking = started.enter_context(psycopg.connect(url, autocommit=True))
        ways = {
            WAYS[path]: Way(partial(_prepare_dbos, path), CREATED, partial(_paid_at_dbos, looking))
            for path in use.paths
        }
        yield Shop(OverHttp(ports), processes, ways, partial(_forget_queued, looking))


def _forget_queued(looking: psycopg.Connection) -> int:
    forgotten = "UPDATE dbos.workflow_status SET status = 'CANCELLED' WHERE status = 'ENQUEUED'"
    return looking.execute(forgotten).rowcount


def _prepare_dbos(path: str, how_many: int) -> Prepared:
    purchases = [Purchase(next(_numbers)) for _ in range(how_many)]
    keys = [f"{path}-{purchase.cart.hex}" for purchase in purchases]
    pairs = zip(keys, purchases, strict=True)
    return Prepared(keys, [_press_dbos(path, key, purchase) for key, purchase in pairs])


def _press_dbos(path: str, key: str, purchase: Purchase) -> bytes:
    placed = {
        "token": key,
        "total_minor": TOTAL_MINOR,
        "currency": settings.SHOP_CURRENCY,
        "customer": TYPED | {"email": purchase.email},
        "lines": [
            {"product": product, "quantity": quantity} for product, quantity in purchase.quantities
        ],
    }
    body = json.dumps(placed).encode()
    head = [
        f"POST /{path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def _paid_at_dbos(looking: psycopg.Connection, keys: Sequence[str]) -> list[float]:
    """A workflow may not have stored its order yet, so what is counted is what was paid."""
    wanted = len(keys)
    counted = "SELECT count(*) FROM orders WHERE paid_at IS NOT NULL AND token = ANY(%s)"
    deadline = time.monotonic() + orders.WAIT_SECONDS
    while looking.execute(counted, [list(keys)]).fetchone() != (wanted,):
        if time.monotonic() > deadline:
            raise RuntimeError(f"Not all of {wanted} orders in DBOS's shop were paid")
        time.sleep(orders.LOOK_SECONDS)
    paid_at: dict[str, float] = dict(looking.execute(PAID_AT_OF_DBOS).fetchall())
    return [paid_at[key] for key in keys]
