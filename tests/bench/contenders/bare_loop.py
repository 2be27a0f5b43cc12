"""`python -m tests.bench.contenders.bare_loop QUEUE_URL FILE`: the least that settles orders.

Receive ten, the same SQL for each, delete ten. One thread, no gateway, no care for anything that
might go wrong.
"""

import json
import os
import sys
from pathlib import Path

import boto3

from tests.bench.contenders.same_settling import SameSettling


def main() -> None:
    queue_url, file = sys.argv[1:]
    sqs = boto3.client(
        "sqs",
        region_name=os.environ["AWS_REGION"],
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
    )
    same = SameSettling(os.environ["DATABASE_URL"], Path(file))
    while True:
        reply = sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=5)
        messages = reply.get("Messages", [])
        for message in messages:
            same.settle(json.loads(message["Body"])["order"])
        if messages:
            entries = [
                {"Id": str(position), "ReceiptHandle": message["ReceiptHandle"]}
                for position, message in enumerate(messages)
            ]
            sqs.delete_message_batch(QueueUrl=queue_url, Entries=entries)  # type: ignore[arg-type] # a plain dict


if __name__ == "__main__":
    main()
