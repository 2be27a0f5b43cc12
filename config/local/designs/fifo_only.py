"""The request stores the order and queues it; a FIFO queue is trusted to deliver exactly once.

SQS drops the same content within five minutes, which is the same message sent twice: a second
press is another order, hence other content, and a message received but not deleted comes again.
"""

import json
import os
import threading
import traceback
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import boto3
from botocore.config import Config

from config.local.designs.base import DesignOrder, store_order
from config.local.designs.charging import SDK_RETRIES, take_payment
from config.local.designs.serving import (
    Reply,
    finish_what_is_in_hand,
    main,
    order_page,
    serve,
    stopping,
    wait_for_stop,
)

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

CONSUMER_THREADS = 4

# Long enough to be no busy loop, short enough for a prompt end.
RECEIVE_WAIT_SECONDS = 1

# After a failure, so that an outage is not met with a busy loop.
PAUSE_SECONDS = 1.0


@cache
def sqs() -> "SQSClient":
    return boto3.client(
        "sqs",
        region_name=os.environ["AWS_REGION"],
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        config=Config(
            connect_timeout=3,
            read_timeout=10,
            retries={"mode": "standard", "total_max_attempts": 2},
        ),
    )


@cache
def queue_url() -> str:
    return sqs().get_queue_url(QueueName=os.environ["PAYMENTS_QUEUE_NAME"])["QueueUrl"]


def create_queue(client: "SQSClient", name: str, *, visibility_seconds: int) -> str:
    """Its address. For whoever sets the scene; the design's own processes expect it."""
    attributes = {
        "FifoQueue": "true",
        "ContentBasedDeduplication": "true",
        "VisibilityTimeout": str(visibility_seconds),
    }
    return client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]  # type: ignore[arg-type] # a plain dict


def check_out(body: str) -> Reply:
    order = store_order("fifo_only", dict(parse_qsl(body)))
    sqs().send_message(
        QueueUrl=queue_url(), MessageGroupId=order.purchase, MessageBody=json.dumps(asdict(order))
    )
    return order_page(order.number)


def web(port: int) -> None:
    sqs()  # boto3 makes clients in one thread only; they may be used by many
    serve(port, {"/checkout/": check_out})


def consume(_port: int) -> None:
    sqs()
    threads = [
        threading.Thread(target=receive_until_stopped, daemon=True) for _ in range(CONSUMER_THREADS)
    ]
    for thread in threads:
        thread.start()
    wait_for_stop()
    finish_what_is_in_hand()


def receive_until_stopped() -> None:
    while not stopping.is_set():
        try:
            receive_once()
        except Exception:
            # The message was not deleted and comes again when its visibility timeout is over.
            traceback.print_exc()
            stopping.wait(PAUSE_SECONDS)


def receive_once() -> None:
    # One at a time: the last of ten could outlive the visibility timeout while it waits its turn.
    reply = sqs().receive_message(
        QueueUrl=queue_url(), MaxNumberOfMessages=1, WaitTimeSeconds=RECEIVE_WAIT_SECONDS
    )
    for message in reply.get("Messages", []):
        take_payment(DesignOrder(**json.loads(message["Body"])), retries=SDK_RETRIES)
        sqs().delete_message(QueueUrl=queue_url(), ReceiptHandle=message["ReceiptHandle"])


if __name__ == "__main__":
    main({"web": web, "consumer": consume})
