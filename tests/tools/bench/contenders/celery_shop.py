"""Celery with its SQS transport, on a FIFO queue: a task for each order runs the same SQL.

Acknowledged after it is done, as its documentation recommends for work that must not be lost. It
polls without a pause: with the pause of a second that the transport makes unless told otherwise it
settles as many orders a second as it has messages in hand. `python -m …celery_shop FILE` sends a
task for each order of the file.
"""

import os
import sys
from pathlib import Path
from threading import local
from urllib.parse import urlsplit

from celery import Celery

from tests.tools.bench.contenders.same_settling import SameSettling

QUEUE = "celery.fifo"

at = urlsplit(os.environ["AWS_ENDPOINT_URL"])
app = Celery("bench", broker=f"sqs://bench:bench@{at.hostname}:{at.port}//")
app.conf.update(
    task_default_queue=QUEUE,
    task_acks_late=True,
    task_ignore_result=True,
    worker_enable_remote_control=False,
    broker_transport_options={
        "region": os.environ["AWS_REGION"],
        "is_secure": False,
        "visibility_timeout": 120,
        "wait_time_seconds": 5,
        "polling_interval": 0.01,
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
