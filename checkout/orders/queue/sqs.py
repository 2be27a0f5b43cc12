"""The SQS FIFO queue. Imported by the publisher, the worker and commands, never by a request."""

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchRequestEntryTypeDef,
        MessageTypeDef,
        ReceiveMessageRequestTypeDef,
        SendMessageBatchRequestEntryTypeDef,
    )

logger = logging.getLogger(__name__)

# The limit of SendMessageBatch, ReceiveMessage, DeleteMessageBatch (SQS API Reference).
BATCH = 10

# The longest wait SQS offers a receive (SQS Developer Guide, "Long polling").
MAX_WAIT_SECONDS = 20

# The attribute in which a message carries its trace, beside the body and not part of its contract.
TRACEPARENT = "traceparent"

COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)

QUEUE_ERRORS = (BotoCoreError, ClientError)


NO_DEAD_LETTER_QUEUE = (
    "The queue has no dead-letter queue. Run `manage.py ensure_queues` to see what differs."
)


class QueueMissing(Exception):
    """The queue does not exist. Run `manage.py ensure_queues`."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    body: str
    group: str
    deduplication_id: str
    traceparent: str = ""


@dataclass(frozen=True, kw_only=True)
class Incoming:
    id: str
    body: str
    receipt_handle: str
    receive_count: int
    traceparent: str = ""  # empty from a release that sent none
    sent_at: datetime | None = None


@dataclass(frozen=True)
class Counts:
    """Messages by state, in the order of COUNTS."""

    waiting: int
    in_hand: int
    delayed: int

    @property
    def all(self) -> int:
        return self.waiting + self.in_hand + self.delayed


def _incoming(message: "MessageTypeDef") -> Incoming:
    attributes = message["Attributes"]
    sent = attributes.get("SentTimestamp")
    return Incoming(
        id=message["MessageId"],
        body=message["Body"],
        receipt_handle=message["ReceiptHandle"],
        receive_count=int(attributes["ApproximateReceiveCount"]),
        traceparent=_traceparent(message),
        sent_at=datetime.fromtimestamp(int(sent) / 1000, tz=UTC) if sent else None,
    )


def sqs_client(*, wait_seconds: int = 0) -> "SQSClient":
    """A client that fails within seconds: every caller has its own way of trying again."""
    return boto3.client(
        "sqs",
        region_name=settings.AWS_REGION,
        endpoint_url=settings.AWS_ENDPOINT_URL or None,
        config=Config(
            connect_timeout=3,
            read_timeout=wait_seconds + 10,
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=32,
        ),
    )


def _url_of(client: "SQSClient", name: str) -> str:
    try:
        return client.get_queue_url(QueueName=name)["QueueUrl"]
    except client.exceptions.QueueDoesNotExist:
        raise QueueMissing(
            f"There is no queue {name}. Run `manage.py ensure_queues` to create it."
        ) from None


class PaymentsQueue:
    """What the product does with its queue, in SQS's own words. Safe to share between threads."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self.url = url

    @classmethod
    def connect(cls, *, wait_seconds: int = 0) -> Self:
        client = sqs_client(wait_seconds=wait_seconds)
        return cls(client, _url_of(client, settings.PAYMENTS_QUEUE_NAME))

    def send(self, messages: Sequence[Outgoing]) -> set[int]:
        """Send up to ten messages. Returns the positions of those that SQS says it took."""
        reply = self._client.send_message_batch(
            QueueUrl=self.url,
            Entries=[_entry(position, message) for position, message in enumerate(messages)],
        )
        return {int(entry["Id"]) for entry in reply.get("Successful", [])}

    def receive(
        self,
        *,
        at_most: int,
        wait_seconds: int,
        attempt_id: str = "",
        hide_seconds: int | None = None,
    ) -> list[Incoming]:
        """Receive up to ten messages, which are hidden from everybody else for `hide_seconds`
        (None: MESSAGE_VISIBILITY_SECONDS). Under the id of an attempt whose reply was lost SQS
        answers with the messages of that reply, maybe more than asked for."""
        if hide_seconds is None:
            hide_seconds = settings.MESSAGE_VISIBILITY_SECONDS
        request: ReceiveMessageRequestTypeDef = {
            "QueueUrl": self.url,
            "MaxNumberOfMessages": min(at_most, BATCH),
            "VisibilityTimeout": hide_seconds,
            "WaitTimeSeconds": wait_seconds,
            "MessageSystemAttributeNames": ["ApproximateReceiveCount", "SentTimestamp"],
            "MessageAttributeNames": [TRACEPARENT],
        }
        if attempt_id:
            request["ReceiveRequestAttemptId"] = attempt_id
        reply = self._client.receive_message(**request)
        return [_incoming(message) for message in reply.get("Messages", [])]

    def dead_letter_queue(self) -> "PaymentsQueue":
        policy = json.loads(self._attributes().get("RedrivePolicy", "{}"))
        if not policy:
            raise QueueMissing(NO_DEAD_LETTER_QUEUE)
        name = policy["deadLetterTargetArn"].rpartition(":")[2]
        return PaymentsQueue(self._client, _url_of(self._client, name))

    def counts(self) -> Counts:
        attributes = self._attributes()
        return Counts(*(int(attributes[name]) for name in COUNTS))

    def count_messages(self) -> int:
        """Count all messages of the queue and of its dead-letter queue, approximately."""
        count = self.counts().all
        with suppress(QueueMissing):
            count += self.dead_letter_queue().counts().all
        return count

    def _attributes(self) -> dict[str, str]:
        reply = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])
        return {str(name): value for name, value in reply["Attributes"].items()}

    def delete(self, receipt_handles: Sequence[str]) -> int:
        """Delete up to ten messages. Returns how many failed: they come again, and do no harm."""
        reply = self._client.delete_message_batch(
            QueueUrl=self.url,
            Entries=[
                {"Id": str(position), "ReceiptHandle": handle}
                for position, handle in enumerate(receipt_handles)
            ],
        )
        return len(reply.get("Failed", []))

    def change_visibility(self, receipt_handles: Iterable[str], *, seconds: int) -> int:
        """Hide messages for so long from now (0: show them at once). Returns how many failed."""
        handles = list(receipt_handles)
        failed = 0
        for start in range(0, len(handles), BATCH):
            entries: list[ChangeMessageVisibilityBatchRequestEntryTypeDef] = [
                {"Id": str(position), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
                for position, handle in enumerate(handles[start : start + BATCH])
            ]
            reply = self._client.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)
            failed += len(reply.get("Failed", []))
        return failed


def _entry(position: int, message: Outgoing) -> "SendMessageBatchRequestEntryTypeDef":
    entry: SendMessageBatchRequestEntryTypeDef = {
        "Id": str(position),
        "MessageBody": message.body,
        "MessageGroupId": message.group,
        "MessageDeduplicationId": message.deduplication_id,
    }
    if message.traceparent:  # SQS takes no empty attribute
        value = message.traceparent
        entry["MessageAttributes"] = {TRACEPARENT: {"DataType": "String", "StringValue": value}}
    return entry


def _traceparent(message: "MessageTypeDef") -> str:
    attribute = message.get("MessageAttributes", {}).get(TRACEPARENT)
    return attribute.get("StringValue", "") if attribute else ""


def connect_when_reachable(
    stopping: Event, *, wait_seconds: int = 0, on_try: Callable[[], None] = lambda: None
) -> PaymentsQueue | None:
    """Connect, and wait for an SQS that is down. None: the process was asked to stop meanwhile."""
    is_logged = False
    while not stopping.is_set():
        on_try()
        try:
            return PaymentsQueue.connect(wait_seconds=wait_seconds)
        except QUEUE_ERRORS as error:
            if not is_logged:
                logger.error(
                    "SQS does not answer, will go on trying",
                    extra={"error": type(error).__name__},
                )
                is_logged = True
            stopping.wait(1)
    return None
