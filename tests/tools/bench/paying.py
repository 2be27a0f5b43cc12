"""From the answer to the press until the order is paid: through publisher, queue and worker.

Idle, one shopper at a time presses; under half load they press half as often as all processes
together get through. By the time that the worker stored as the moment of payment.
"""

import math
import time
from collections.abc import Sequence

from django.db import connection

from tests.tools.bench import orders
from tests.tools.bench.contenders import patient
from tests.tools.bench.figures import Figures, Round
from tests.tools.bench.options import Options
from tests.tools.bench.over_http import Basket, OverHttp
from tests.tools.bench.placing import prepare
from tests.tools.bench.settling import MOST_THREADS, SLOW_SECONDS, THREADS, worker
from tests.tools.bench.stage import Stage

IDLE_A_SECOND = 3.0

# Below this nothing under load is learnt.
LEAST_A_SECOND = 4.0


def run(stage: Stage, options: Options) -> Figures:
    figures = Figures("order to paid")
    prepare(stage, "paying")
    rounds = options.pick(quick=1, full=3, tiny=1)
    web = stage.web(environment=patient.OFFERED)
    with stage.queue(), web as ports, stage.manage("run_outbox_publisher"):
        over_http = OverHttp(ports)
        for seconds, threads in ((0.0, THREADS), (SLOW_SECONDS, MOST_THREADS)):
            with worker(stage, threads=threads, gateway_seconds=seconds):
                burst = options.pick(quick=60, full=400, tiny=4)
                most = _through(over_http, burst, seconds)
                idle, loaded = [], []
                for number in range(rounds):
                    options.say(f"order to paid, gateway {seconds * 1000:.0f} ms, round {number}")
                    count = options.pick(quick=10, full=25, tiny=2)
                    time.sleep(1 / IDLE_A_SECOND)  # so that the first comes to an idle shop too
                    idle.append(_to_paid(over_http, count, a_second=IDLE_A_SECOND))
                    pace = max(LEAST_A_SECOND, most / 2)
                    count = options.pick(quick=40, full=math.ceil(pace * 6), tiny=2)
                    loaded.append(_to_paid(over_http, count, a_second=pace))
            name = f"gateway {seconds * 1000:.0f} ms"
            figures.add(f"{name}, all together", "orders/s", [most])
            _add(figures, f"{name}, idle", idle)
            _add(figures, f"{name}, half load", loaded)
    stage.drop_database("paying")
    return figures


def _add(figures: Figures, name: str, rounds: Sequence[Round]) -> None:
    figures.add(f"{name}, median", "ms", [turn.percentile(0.5) * 1000 for turn in rounds])
    figures.add(f"{name}, 99 %", "ms", [turn.percentile(0.99) * 1000 for turn in rounds])


def _through(over_http: OverHttp, count: int, gateway_seconds: float) -> float:
    """Orders a second from press to paid, of all processes together."""
    over_http.place(Basket().filled(count // 4))  # so that everything is warm
    orders.await_settled()
    waits = _to_paid(over_http, count, a_second=0)
    return waits.a_second


def _to_paid(over_http: OverHttp, count: int, *, a_second: float) -> Round:
    purchases = Basket().filled(count)
    presses = over_http.send(purchases, a_second=a_second)
    orders.await_settled()
    paid_at = _paid_at()
    paid = [paid_at[purchase.cart.hex] for purchase in purchases]
    waits = [at - answered for at, answered in zip(paid, presses.answered_at, strict=True)]
    began = min(at - took for at, took in zip(presses.answered_at, presses.seconds, strict=True))
    # The worker takes the time before its commit, so an order may seem paid a moment too early.
    return Round(count / (max(paid) - began), [max(0.0, wait) for wait in waits])


def _paid_at() -> dict[str, float]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT replace(checkout_id::text, '-', ''), extract(epoch FROM settled_at)::float
            FROM payments_payment p JOIN orders_order o ON o.id = p.order_id
            """
        )
        return dict(cursor.fetchall())
