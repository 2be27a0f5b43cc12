"""Workers that settle and refund everything there is, and are killed while they do.

`START` with a number runs so many on a shop of orders that wait for their payment. It prints how
often a process was killed, how often one was killed with the statement of an invoice in hand, and
how often a connection was cut.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from contextlib import suppress
from typing import Any, NoReturn

import psycopg
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from checkout.orders.models import Order
from payments.gateways.base import Gateway
from payments.gateways.stripe.client import StripeGateway
from payments.refunds import RefundImpossible, request_refund
from payments.settling.refunds import settle_refunds
from payments.settling.settle_order import settle_order
from tests.support.till import only

# What is imported above is loaded once, before there are any workers: they die young.
START = [
    *(sys.executable, "-c"),
    "import django; django.setup(); import tests.support.invoice_clerks as c; c.main()",
]

# Each of them is disturbed once in so many seconds. An act takes a tenth of one, to a whole one.
LIFE_SECONDS = 6.0
SOON_SECONDS = 0.6

# Whoever has, or waits for, the counter of invoices.
AT_THE_COUNTER = """
    SELECT pid, application_name FROM pg_stat_activity
    WHERE application_name LIKE 'clerk-%' AND datname = current_database()
      AND state IN ('active', 'idle in transaction') AND query LIKE '%orders_invoicecounter%'
"""
EVERYBODY = """
    SELECT pid, application_name FROM pg_stat_activity
    WHERE application_name LIKE 'clerk-%' AND datname = current_database()
"""
LEFT = "SELECT count(*) FROM orders_order WHERE status NOT IN ('partly_refunded', 'refunded')"

Looking = psycopg.Connection[tuple[Any, ...]]


def work() -> None:
    """Pay or refund one order after the other, in no order, until nothing is left."""
    gateway, chance = StripeGateway.from_settings(), random.Random(os.getpid())
    parent = os.getppid()
    while os.getppid() == parent:  # whoever is left alone would go on for ever
        try:
            waiting = Order.objects.filter(status__in=("placed", "paid"))
            found = list(waiting.values_list("pk", flat=True)[:200])
            if not found:
                return
            _do(Order.objects.get(pk=chance.choice(found)), gateway)
        except (OperationalError, InterfaceError):  # it was cut, or waited too long for a lock
            connection.close()


def _do(order: Order, gateway: Gateway) -> None:
    if order.status == "placed":
        settle_order(order.number, only(gateway), clock=timezone.now)
        return
    payment = order.payments.get(status="paid")
    amounts = (order.total_minor, order.total_minor // 2, 1)
    with suppress(RefundImpossible):  # another was first
        request_refund(
            payment,
            amount_minor=amounts[order.pk % 3],
            reason="Sent back",
            requested_by=None,
            now=timezone.now(),
            key=f"back-{payment.pk}",
        )
    settle_refunds(order.number, only(gateway), clock=timezone.now)


def start() -> int:
    return os.fork() or _work_and_end()


def _work_and_end() -> NoReturn:
    """The parent's connection and output are not this process's to close."""
    os.environ["PGAPPNAME"] = f"clerk-{os.getpid()}"
    code = 0
    try:
        work()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        code = 1
    os._exit(code)


def await_somebody(looking: Looking, seconds: float) -> list[tuple[Any, ...]]:
    """Whoever comes to the counter within that time."""
    end = time.monotonic() + seconds
    while not (found := looking.execute(AT_THE_COUNTER).fetchall()) and time.monotonic() < end:
        time.sleep(0.005)
    return found


def disturb(looking: Looking, alive: set[int], seconds: float, *, cut: bool) -> str:
    """Kill a process, or cut its connection; the word for what was done."""
    at_the_counter = await_somebody(looking, seconds)
    found = at_the_counter or looking.execute(EVERYBODY).fetchall()
    if not found:
        return ""
    backend, name = random.choice(found)
    pid = int(name.removeprefix("clerk-"))
    if cut:
        looking.execute("SELECT pg_terminate_backend(%s)", [backend])
        return "cut"
    if pid not in alive:
        return ""
    os.kill(pid, signal.SIGKILL)
    return "killed at the counter" if at_the_counter else "killed"


def main() -> None:
    params = connection.get_connection_params()
    own = {name: params.get(name) for name in ("host", "port", "user", "password", "dbname")}
    done = {"killed": 0, "killed at the counter": 0, "cut": 0, "failed": 0}
    with psycopg.connect(**{k: v for k, v in own.items() if v}, autocommit=True) as looking:
        alive = {start() for _ in range(int(sys.argv[1]))}
        while not done["failed"] and looking.execute(LEFT).fetchone() != (0,):
            # Each third: even the shortest run begins with a kill.
            cut = sum(done.values()) % 3 == 2
            # The first one soon: a short run is over within a second.
            pause = LIFE_SECONDS / len(alive) / 2 if any(done.values()) else 0.0
            time.sleep(pause)
            if what := disturb(looking, alive, pause or SOON_SECONDS, cut=cut):
                done[what] += 1
            while alive and (ended := os.waitpid(-1, os.WNOHANG))[0]:
                alive.discard(ended[0])
                done["failed"] += os.waitstatus_to_exitcode(ended[1]) == 1
                alive.add(start())
        for pid in alive:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    print(json.dumps(done))
    sys.exit(1 if done["failed"] else 0)
