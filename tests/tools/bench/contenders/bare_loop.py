"""The least that settles: `python -m tests.tools.bench.contenders.bare_loop QUEUE FILE THREADS`.

Receive ten, the same SQL for each, delete ten. No gateway, no care for what might go wrong. One
thread waits for each commit; ten settle at once what was received.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local

import boto3

from tests.tools.bench.contenders.same_settling import SameSettling


def main() -> None:
    queue_url, file, threads = sys.argv[1:]
    sqs = boto3.client(
        "sqs",
        region_name=os.environ["AWS_REGION"],
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
    )
    of_thread = local()

    def connect() -> None:
        of_thread.same = SameSettling(os.environ["DATABASE_URL"], Path(file))

    pool = ThreadPoolExecutor(int(threads), initializer=connect)
    while True:
        reply = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=5)
        messages = reply.get("Messages", [])
        numbers = [json.loads(message["Body"])["order"] for message in messages]
        list(pool.map(lambda number: of_thread.same.settle(number), numbers))
        if messages:
            entries = [
                {"Id": str(position), "ReceiptHandle": message["ReceiptHandle"]}
                for position, message in enumerate(messages)
            ]
            sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)  # type: ignore[arg-type] # a plain dict


if __name__ == "__main__":
    main()
