"""A queue in the process, for tests of what is sent to SQS and not of SQS."""

from collections.abc import Iterable, Sequence
from typing import cast

from botocore.exceptions import EndpointConnectionError

from checkout.orders.queue.sqs import Outgoing, PaymentsQueue


class RecordingQueue:
    """Takes what it is sent, except the positions it is told to refuse."""

    def __init__(self, refuse: Iterable[int] = (), error: Exception | None = None) -> None:
        self.refuse = set(refuse)
        self.error = error
        self.sent: list[Outgoing] = []

    def send(self, messages: Sequence[Outgoing]) -> set[int]:
        if self.error:
            raise self.error
        taken = set(range(len(messages))) - self.refuse
        self.sent += [messages[position] for position in sorted(taken)]
        return taken


def as_queue(double: object) -> PaymentsQueue:
    return cast(PaymentsQueue, double)


def sqs_is_down() -> RecordingQueue:
    return RecordingQueue(error=EndpointConnectionError(endpoint_url="http://127.0.0.1:9"))
