"""The outbox publisher: rows a second of one, two and four, and how long a backlog lasts."""

import time
from contextlib import ExitStack

from django.db import connection

from tests.tools.bench import orders
from tests.tools.bench.figures import Contender, Figures, Round, take_turns
from tests.tools.bench.options import Options
from tests.tools.bench.placing import prepare
from tests.tools.bench.stage import Stage

PUBLISHERS = (1, 2, 4)

# Nothing is swept while it is measured.
ENVIRONMENT = {"SWEEP_EVERY_SECONDS": "3600"}


def run(stage: Stage, options: Options) -> Figures:
    figures = Figures("publisher")
    prepare(stage, "publishing")
    rows = options.pick(quick=1_500, full=5_000, tiny=40)
    with stage.queue():

        def of(publishers: int) -> Contender:
            return lambda _: Round(_publish(stage, rows, publishers), [])

        several = options.pick(quick=PUBLISHERS[:2], full=PUBLISHERS)
        contenders = {f"publishers: {count}": of(count) for count in several}
        rounds = options.pick(quick=1, full=3, tiny=1)
        turns = take_turns(contenders, rounds=rounds, say=options.say, warm_up=False)
        for name, taken in turns.items():
            figures.add(name, "rows/s", [turn.a_second for turn in taken])
    with stage.queue():
        backlog = options.pick(quick=3_000, full=100_000, tiny=50)
        options.say(f"a backlog of {backlog:,} rows")
        began = time.monotonic()
        _publish(stage, backlog, PUBLISHERS[-1])
        figures.add(
            f"a backlog of {backlog:,} rows, {PUBLISHERS[-1]} publishers",
            "s",
            [time.monotonic() - began],
            note="from the start of the publishers until its last row is in the queue",
        )
    stage.drop_database("publishing")
    return figures


def _publish(stage: Stage, rows: int, publishers: int) -> float:
    """Rows a second, while all were at it."""
    _clear()
    orders.place(rows, published=False)
    with ExitStack() as started:
        for _ in range(publishers):
            started.enter_context(
                stage.manage("run_outbox_publisher", "--skip-checks", environment=ENVIRONMENT)
            )
        orders.await_published()
    return _a_second()


def _clear() -> None:
    """Marks what is there as done, so that it is not counted again."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE orders_outboxmessage")
        cursor.execute("VACUUM (ANALYZE) orders_outboxmessage")


def _a_second() -> float:
    """From the time of the first batch to that of the last. `published_at` is taken when a batch
    is claimed, so the last batch is after the end."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH batches AS (
                SELECT published_at AS at, count(*) AS size FROM orders_outboxmessage GROUP BY 1
            )
            SELECT sum(size) FILTER (WHERE at < (SELECT max(at) FROM batches)),
                extract(epoch FROM max(at) - min(at))::float
            FROM batches
            """
        )
        rows, seconds = cursor.fetchone()
    return float(rows or 0) / max(seconds or 0.0, 1e-3)
