"""The queue double as a run uses it: filled at once, and asked how often it was asked."""

import json
import os
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

BATCH = 10


@dataclass(frozen=True)
class Queue:
    url: str
    payments_url: str

    @classmethod
    def at(cls, url: str) -> Self:
        """From now on this process, and what it starts, works with that double."""
        from django.conf import settings

        from checkout.orders.queue.setup import ensure_queues
        from checkout.orders.queue.sqs import PaymentsQueue

        os.environ["AWS_ENDPOINT_URL"] = settings.AWS_ENDPOINT_URL = url
        ensure_queues()
        return cls(url, PaymentsQueue.connect().url)

    def requests(self) -> int:
        """How many were made for messages: sent, received, put back and deleted."""
        with urllib.request.urlopen(f"{self.url}/control/requests", timeout=10) as answer:
            asked = Counter[str](json.load(answer))
        return sum(count for action, count in asked.items() if "Message" in action)

    def purge(self) -> None:
        content = json.dumps({"queue": self.payments_url.rpartition("/")[2]}).encode()
        urllib.request.urlopen(f"{self.url}/control/purge", content, timeout=10).close()

    def send(self, numbers: Sequence[str]) -> None:
        """A message for each order, as the publisher sends it."""
        from checkout.orders.queue.sqs import Outgoing, PaymentsQueue

        queue = PaymentsQueue.connect()
        for start in range(0, len(numbers), BATCH):
            queue.send(
                [
                    Outgoing(body=_body(number), group=number, deduplication_id=number)
                    for number in numbers[start : start + BATCH]
                ]
            )

    def create(self, name: str) -> None:
        """A FIFO queue of a contender."""
        from checkout.orders.queue.sqs import sqs_client

        sqs_client().create_queue(
            QueueName=name,
            Attributes={
                "FifoQueue": "true",
                "DeduplicationScope": "messageGroup",
                "FifoThroughputLimit": "perMessageGroupId",
                "VisibilityTimeout": "120",
            },
        )


def _body(number: str) -> str:
    return json.dumps({"v": 1, "order": number, "kind": "settle_payment", "generation": 1})
