"""Settling: orders a second of a worker's processes, beside the least that settles orders.

The queue is filled first, by the shop's own publisher. What is counted runs from when a tenth was
settled until nearly all were, by the times in the database, so no start is in it.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from config.local.demo_settings import DEFAULTS
from config.local.processes import Child
from tests.tools.bench import orders
from tests.tools.bench.contenders import patient
from tests.tools.bench.figures import Contender, Figures, Round, take_turns
from tests.tools.bench.options import Options
from tests.tools.bench.placing import prepare
from tests.tools.bench.queue import Queue
from tests.tools.bench.report import PRICE
from tests.tools.bench.stage import Stage
from tests.tools.bench.statements import Varied, Varying, md5, statements_in, vary

BARE = [sys.executable, "-m", "tests.tools.bench.contenders.bare_loop"]
CELERY = "tests.tools.bench.contenders.celery_shop"

# With these, each settled order has its invoice.
SELLER = {name: value for name, value in DEFAULTS.items() if name.startswith("SELLER_")}

# Celery counts its threads as the worker does.
THREADS = 20

# With a gateway that takes so long for an order.
SLOW_SECONDS = 0.3
MOST_THREADS = 64

# The worker counts its threads for each process, so that two have half of them each.
TWO_PROCESSES = 2

# The ids in the statements, and the tables that they are of. Two calls of the gateway: two rows.
KEPT = {
    "order_id": "orders_order",
    "payment_id": "payments_payment",
    "confirm_attempt_id": "payments_paymentattempt",
}

# The worker's usual threads, and always another message: what the goal is about.
UNDER_LOAD = "ours under load"


def run(stage: Stage, options: Options) -> Figures:
    figures = Figures("settling")
    prepare(stage, "settling")
    with stage.queue() as queue:
        file = stage.file("settling.json")
        statements = the_same_sql(stage, queue)
        file.write_text(json.dumps([(said.sql, said.prefix) for said in statements]))
        figures.add("statements", "a settling", [len(statements)])
        many = options.pick(quick=200, full=700, tiny=20)
        worker = Settling(stage, queue, file)
        contenders: dict[str, Contender] = {
            "worker, gateway 0 ms": lambda _: worker.ours(many),
            "bare boto3 loop": lambda _: worker.bare(many, threads=1),
            "bare boto3 loop, ten threads": lambda _: worker.bare(many, threads=10),
        }
        if find_spec("celery") and options.size == "full":
            contenders["Celery, SQS transport"] = lambda _: worker.celery(many)
        rounds = options.pick(quick=1, full=3, tiny=1)
        turns = take_turns(contenders, rounds=rounds, say=options.say, warm_up=False)
        for name, taken in turns.items():
            figures.add(name, "orders/s", [turn.a_second for turn in taken])
        ours, bare, threaded, *_ = turns.values()
        figures.add_ratio("worker ÷ bare loop, gateway 0 ms", ours, bare)
        figures.add_ratio("worker ÷ ten threads of it", ours, threaded)
        _add_invoices(worker, options, figures)
        _add_slow(worker, options, figures)
        _add_requests(worker, figures)
    stage.drop_database("settling")
    return figures


def _add_invoices(worker: "Settling", options: Options, figures: Figures) -> None:
    """An invoice is one more statement of the transaction that records a payment."""
    many = options.pick(quick=200, full=400, tiny=20)
    contenders: dict[str, Contender] = {
        "worker, with invoices": lambda _: worker.ours(many, seller=SELLER),
        "worker, without": lambda _: worker.ours(many),
    }
    rounds = options.pick(quick=2, full=5, tiny=1)
    turns = take_turns(contenders, rounds=rounds, say=options.say, warm_up=False)
    figures.add_ratio("worker, with invoices ÷ without", *turns.values())


def _add_slow(worker: "Settling", options: Options, figures: Figures) -> None:
    """Threads are what a slow gateway costs: each order has one for as long as it takes."""
    most = options.pick(quick=MOST_THREADS, full=MOST_THREADS, tiny=8)
    for threads in options.pick(quick=(most,), full=(1, 8, 32, most), tiny=(most,)):
        turns = _slow_turns(worker, options, threads=threads)
        name = f"worker, gateway 300 ms, {threads} threads"
        figures.add(name, "orders/s", [turn.a_second for turn in turns])
        reached = [turn.a_second * SLOW_SECONDS / threads for turn in turns]
        figures.add(f"limit reached, {threads} threads", "ratio", reached)
    turns = _slow_turns(worker, options, threads=most, processes=TWO_PROCESSES)
    name = f"two processes, gateway 300 ms, {most} threads in all"
    figures.add(name, "orders/s", [turn.a_second for turn in turns])
    reached = [turn.a_second * SLOW_SECONDS / most for turn in turns]
    figures.add(f"two processes, limit reached, {most} threads in all", "ratio", reached)


def _slow_turns(
    worker: "Settling", options: Options, *, threads: int, processes: int = 1
) -> list[Round]:
    """So many threads in all have as many orders at the gateway at once."""
    many = int(threads / SLOW_SECONDS * options.pick(quick=2, full=5, tiny=1))
    return [
        worker.ours(
            many,
            threads=threads // processes,
            processes=processes,
            gateway_seconds=SLOW_SECONDS,
        )
        for _ in range(options.pick(quick=1, full=3, tiny=1))
    ]


def _add_requests(worker: "Settling", figures: Figures) -> None:
    for name, rounds in worker.requests.items():
        figures.add(f"SQS requests an order, {name}", "requests", rounds)
        figures.add(f"SQS, a million orders, {name}", "USD", [asked * PRICE for asked in rounds])


class Settling:
    def __init__(self, stage: Stage, queue: Queue, file: Path) -> None:
        self._stage = stage
        self._queue = queue
        self._file = file
        self.requests: dict[str, list[float]] = {}

    def ours(
        self,
        many: int,
        *,
        threads: int = THREADS,
        processes: int = 1,
        gateway_seconds: float = 0.0,
        seller: Mapping[str, str] | None = None,
    ) -> Round:
        several = f"{processes} processes of " if processes > 1 else ""
        name = f"gateway {gateway_seconds * 1000:.0f} ms, {several}{threads} threads"
        with self._counted(name if gateway_seconds else UNDER_LOAD, many):
            numbers = self._publish(many)
            with worker(
                self._stage,
                threads=threads,
                processes=processes,
                gateway_seconds=gateway_seconds,
                seller=seller,
            ):
                orders.await_settled()
        return Round(orders.settled_a_second(numbers), [])

    def bare(self, many: int, *, threads: int) -> Round:
        with self._counted(f"bare loop, threads: {threads}", many):
            numbers = self._publish(many)
            command = [*BARE, self._queue.payments_url, str(self._file), str(threads)]
            with self._stage.running("bare", command):
                orders.await_settled()
                time.sleep(0.1)  # its last delete
        return Round(orders.settled_a_second(numbers), [])

    def celery(self, many: int) -> Round:
        numbers = orders.place(many, published=True)
        self._queue.create("celery.fifo")
        environment = {"BENCH_STATEMENTS": str(self._file)}
        list_of = self._stage.file("numbers")
        list_of.write_text("\n".join(numbers))
        run = [sys.executable, "-m"]
        command = [*run, "celery", "-A", CELERY, "worker", "--pool=threads", "--loglevel=WARNING"]
        with self._counted("Celery", many):
            self._stage.run([*run, CELERY, str(list_of)], environment)
            with self._stage.running("celery", [*command, f"-c{THREADS}"], environment):
                orders.await_settled()
                time.sleep(0.5)  # its last deletes
        return Round(orders.settled_a_second(numbers), [])

    def _publish(self, many: int) -> list[str]:
        numbers = orders.place(many, published=False)
        with self._stage.manage("run_outbox_publisher", "--skip-checks"):
            orders.await_published()
        return numbers

    @contextmanager
    def _counted(self, name: str, orders: int) -> Iterator[None]:
        before = self._queue.requests()
        yield
        asked = self._queue.requests() - before
        self.requests.setdefault(name, []).append(asked / orders)


@contextmanager
def worker(
    stage: Stage,
    *,
    threads: int = THREADS,
    processes: int = 1,
    gateway_seconds: float = 0.0,
    seller: Mapping[str, str] | None = None,
) -> Iterator[Child]:
    """One process settles, whatever the machine has cores, unless more are wanted: most lines are
    of one."""
    environment = {
        **(seller or {}),
        **patient.OFFERED,
        patient.SECONDS: str(gateway_seconds),
    }
    arguments = ["run_payment_worker", "--skip-checks"]
    arguments += [f"--processes={processes}", f"--threads={threads}"]
    with stage.manage(*arguments, environment=environment) as process:
        yield process


def the_same_sql(stage: Stage, queue: Queue) -> list[Varied]:
    """What settling one order says to Postgres, from the log of a real worker."""
    logs, settled = [], []
    with worker(stage, threads=1):
        queue.send(orders.place(4, published=True))
        orders.await_settled()
        for _ in range(2):
            numbers = orders.place(1, published=True)
            with stage.statements_logged() as said:
                queue.send(numbers)
                orders.await_settled()
                time.sleep(0.2)  # so that all of it is logged
            logs.append(statements_in("".join(said), of="payment_worker"))
            settled += numbers
    return vary(logs[0], logs[1], _varying(*settled), KEPT)


def _varying(first: str, second: str) -> list[Varying]:
    from payments.models import Payment

    one, other = (Payment.objects.get(order__number=number) for number in (first, second))
    calls, others = (list(payment.attempts.order_by("id")) for payment in (one, other))
    return [
        Varying(first, second, "(:number)::text"),
        Varying(str(one.order_id), str(other.order_id), "(:order_id)::bigint"),
        Varying(str(one.pk), str(other.pk), "(:payment_id)::bigint"),
        # A step answers with the id of its call beside that of the payment.
        Varying(str(calls[0].pk), str(others[0].pk), "(:payment_attempt_id)::bigint"),
        Varying(str(calls[1].pk), str(others[1].pk), "(:confirm_attempt_id)::bigint"),
        Varying(one.idempotency_key, other.idempotency_key, md5("k")),
        Varying(one.gateway_payment_id, other.gateway_payment_id, f"('pi_' || {md5('p')})"),
    ]
