"""A shop on DBOS Transact, as its documentation builds one: FastAPI, a table of orders, a workflow.

`python -m uvicorn tests.tools.bench.contenders.dbos_shop:app`. A path for each way of use says what
a press stores before it is answered. Each process serves requests and settles orders, which is how
DBOS is meant to run. What slows DBOS down and can be chosen otherwise is chosen otherwise: the
transactions are READ COMMITTED, and it settles as many orders at a time as our worker. The bench
sets how often it looks at its queue, and whether it takes orders from there at all.
"""

import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, SetWorkflowID, SQLAlchemyDatasource
from fastapi import FastAPI, Response
from sqlalchemy.dialects.postgresql import JSONB

# A gateway in the process answers after so many seconds, unless Stripe's API has an address.
GATEWAY_SECONDS = float(os.environ["BENCH_GATEWAY_SECONDS"])
STRIPE_API_BASE = os.environ.get("BENCH_STRIPE_API_BASE", "")

NAME = "dbos-shop"
QUEUE = "settle"
STORED = "stored"

# Until the queue is looked at again.
LOOK_SECONDS = float(os.environ["BENCH_LOOK_SECONDS"])

# A process that takes nothing from the queue serves requests alone.
TAKES_FROM_QUEUE = os.environ.get("BENCH_TAKES_FROM_QUEUE", "true") == "true"

# A process of our worker settles as many at a time.
AT_ONCE = 20

ADDRESS = os.environ["DATABASE_URL"]
DBOS(
    config={
        "name": NAME,
        "system_database_url": ADDRESS,
        "application_version": "1",
        "log_level": "WARNING",
    }
)
db = SQLAlchemyDatasource.create(ADDRESS, engine_kwargs={"pool_size": 20, "max_overflow": 20})

tables = sa.MetaData()
orders = sa.Table(
    "orders",
    tables,
    sa.Column("token", sa.Text, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("total_minor", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("customer", JSONB, nullable=False),
    sa.Column("lines", JSONB, nullable=False),
    sa.Column("placed_at", sa.DateTime(timezone=True), server_default=sa.func.now()),
    sa.Column("payment_id", sa.Text),
    sa.Column("paid_at", sa.DateTime(timezone=True)),
)


@dataclass
class Placed:
    """A press sends these."""

    token: str
    total_minor: int
    currency: str
    customer: dict[str, str]
    lines: list[dict[str, int]]


def insert(placed: Placed) -> sa.Insert:
    return orders.insert().values(
        token=placed.token,
        status="placed",
        total_minor=placed.total_minor,
        currency=placed.currency,
        customer=placed.customer,
        lines=placed.lines,
    )


# --- The payment ------------------------------------------------------------------------------


def stripe_intents() -> Any:
    """Our worker uses the same SDK with the same settings."""
    import stripe

    stripe.enable_telemetry = False
    client = stripe.StripeClient(
        "sk_test_bench",
        base_addresses={"api": STRIPE_API_BASE},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=(5, 15)),
    )
    return client.v1.payment_intents


intents = stripe_intents() if STRIPE_API_BASE else None


@DBOS.step()  # type: ignore[untyped-decorator] # dbos is not installed where types are checked
def open_payment(token: str, total_minor: int, currency: str) -> str:
    if intents:
        params = {
            "amount": total_minor,
            "currency": currency.lower(),
            "payment_method": "pm_card_visa",
            "allowed_payment_method_types": ["card"],
            "metadata": {"order": token},
        }
        return str(intents.create(params, {"idempotency_key": f"open-{token}"}).id)
    time.sleep(GATEWAY_SECONDS / 2)
    return f"pi_{secrets.token_hex(16)}"


@DBOS.step()  # type: ignore[untyped-decorator] # as above
def confirm_payment(token: str, payment_id: str) -> str:
    if intents:
        confirmed = intents.confirm(payment_id, {}, {"idempotency_key": f"confirm-{token}"})
        return str(confirmed.status)
    time.sleep(GATEWAY_SECONDS / 2)
    return "succeeded"


@db.transaction(isolation_level="READ COMMITTED")  # type: ignore[untyped-decorator] # as above
def store(placed: Placed) -> None:
    db.sql_session().execute(insert(placed))


@db.transaction(isolation_level="READ COMMITTED")  # type: ignore[untyped-decorator] # as above
def record(token: str, payment_id: str, status: str) -> None:
    """The time is taken before the commit, as our worker takes it."""
    paid = {"status": "paid", "payment_id": payment_id, "paid_at": sa.func.clock_timestamp()}
    values = paid if status == "succeeded" else {"status": "failed", "payment_id": payment_id}
    db.sql_session().execute(orders.update().where(orders.c.token == token).values(**values))


def pay(token: str, total_minor: int, currency: str) -> None:
    payment_id = open_payment(token, total_minor, currency)
    record(token, payment_id, confirm_payment(token, payment_id))


@DBOS.workflow()  # type: ignore[untyped-decorator] # as above
def settle(token: str, total_minor: int, currency: str) -> None:
    """The request has stored the order."""
    pay(token, total_minor, currency)


@DBOS.workflow()  # type: ignore[untyped-decorator] # as above
def store_and_settle(placed: Placed) -> None:
    store(placed)
    pay(placed.token, placed.total_minor, placed.currency)


@DBOS.workflow()  # type: ignore[untyped-decorator] # as above
def checkout(placed: Placed) -> None:
    """DBOS's own example does the same: its request waits for what the workflow tells it."""
    store(placed)
    DBOS.set_event(STORED, placed.token)
    pay(placed.token, placed.total_minor, placed.currency)


# --- The requests -----------------------------------------------------------------------------


@asynccontextmanager
async def launched(app: FastAPI) -> AsyncIterator[None]:
    tables.create_all(db.engine)
    if not TAKES_FROM_QUEUE:
        DBOS.listen_queues([])
    DBOS.launch()
    await DBOS.register_queue_async(
        QUEUE, worker_concurrency=AT_ONCE, polling_interval_sec=LOOK_SECONDS
    )
    app.state.client = DBOSClient(system_database_url=ADDRESS, application_name=NAME)
    yield
    app.state.client.destroy()
    DBOS.destroy()


app = FastAPI(lifespan=launched)


@app.get("/healthz")  # type: ignore[untyped-decorator] # as above
def healthz() -> dict[str, bool]:
    return {"ok": True}


@app.post("/started")  # type: ignore[untyped-decorator] # as above
def started(placed: Placed) -> Response:
    """The request stores the order, and then starts the workflow in its own process."""
    with db.engine.begin() as connection:
        connection.execute(insert(placed))
    with SetWorkflowID(placed.token):
        DBOS.start_workflow(settle, placed.token, placed.total_minor, placed.currency)
    return Response(status_code=201)


@app.post("/queued")  # type: ignore[untyped-decorator] # as above
def queued(placed: Placed) -> Response:
    """The request puts the workflow into DBOS's queue, and the workflow stores the order."""
    with SetWorkflowID(placed.token):
        DBOS.enqueue_workflow(QUEUE, store_and_settle, placed)
    return Response(status_code=201)


@app.post("/together")  # type: ignore[untyped-decorator] # as above
def together(placed: Placed) -> Response:
    """One transaction stores the order and puts the workflow into DBOS's queue."""
    options = {
        "workflow_name": "settle",
        "queue_name": QUEUE,
        "workflow_id": placed.token,
    }
    amount = (placed.total_minor, placed.currency)
    with db.engine.begin() as connection:
        connection.execute(insert(placed))
        app.state.client.enqueue_in_transaction(connection, options, placed.token, *amount)
    return Response(status_code=201)


@app.post("/inside")  # type: ignore[untyped-decorator] # as above
def inside(placed: Placed) -> Response:
    """The request starts the workflow, and waits until that has stored the order."""
    with SetWorkflowID(placed.token):
        DBOS.start_workflow(checkout, placed)
    stored = DBOS.get_event(placed.token, STORED, timeout_seconds=60)
    return Response(status_code=201 if stored else 503)
