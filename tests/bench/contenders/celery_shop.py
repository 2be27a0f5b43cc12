"""Celery with its SQS transport, on a FIFO queue: a task for each order runs the same SQL.

As its documentation recommends for work that must not be lost: acknowledged after it is done, no
more in hand than threads ("Using Amazon SQS", "Optimizing"). `python -m …celery_shop NUMBERS` sends
a task for each order of a file.
"""

import os
import sys
from pathlib import Path
from threading import local
from urllib.parse import urlsplit

from celery import Celery

from tests.bench.contenders.same_settling import SameSettling

QUEUE = "celery.fifo"

at = urlsplit(os.environ["AWS_ENDPOINT_URL"])
app = Celery("bench", broker=f"sqs://bench:bench@{at.hostname}:{at.port}//")
app.conf.update(
    task_default_queue=QUEUE,
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    broker_transport_options={
        "region": os.environ["AWS_REGION"],
        "is_secure": False,
        "visibility_timeout": 120,
        "wait_time_seconds": 5,
        "predefined_queues": {
            QUEUE: {
                "url": f"{os.environ['AWS_ENDPOINT_URL']}/000000000000/{QUEUE}",
                "access_key_id": "bench",
                "secret_access_key": "bench",
            }
        },
    },
)

# A connection for each thread.
of_thread = local()


@app.task(name="settle")  # type: ignore[untyped-decorator] # celery has no types
def settle(number: str) -> None:
    if not hasattr(of_thread, "same"):
        file = Path(os.environ["BENCH_STATEMENTS"])
        of_thread.same = SameSettling(os.environ["DATABASE_URL"], file)
    of_thread.same.settle(number)


if __name__ == "__main__":
    for number in Path(sys.argv[1]).read_text().split():
        settle.apply_async([number], MessageGroupId=number, MessageDeduplicationId=number)
