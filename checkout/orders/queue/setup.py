"""Create the two queues, or compare them with what they must be."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings

from checkout.orders.queue.sqs import NO_DEAD_LETTER_QUEUE, sqs_client

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# A message that was received so often and never deleted is poison, or ends its workers.
MAX_RECEIVE_COUNT = 5

RETENTION_SECONDS = 14 * 24 * 60 * 60  # the most SQS keeps a message

# The high-throughput mode of FIFO queues (SQS Developer Guide, "Enabling high throughput for FIFO
# queues"): deduplication and the quota are per message group, and a group is one order.
COMMON_ATTRIBUTES = {
    "FifoQueue": "true",
    "ContentBasedDeduplication": "false",
    "DeduplicationScope": "messageGroup",
    "FifoThroughputLimit": "perMessageGroupId",
    "MessageRetentionPeriod": str(RETENTION_SECONDS),
}


@dataclass(frozen=True)
class QueueReport:
    name: str
    created: bool
    differences: list[str]  # "attribute is X, should be Y"


def dead_letter_queue_name() -> str:
    return f"{settings.PAYMENTS_QUEUE_NAME.removesuffix('.fifo')}-dead.fifo"


def ensure_queues() -> list[QueueReport]:
    """Create what is missing. What is there is only compared: it may be so on purpose."""
    client = sqs_client()
    dead = _ensure(client, dead_letter_queue_name(), COMMON_ATTRIBUTES)
    dead_url = client.get_queue_url(QueueName=dead.name)["QueueUrl"]
    dead_arn = client.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["QueueArn"])[
        "Attributes"
    ]["QueueArn"]
    wanted = COMMON_ATTRIBUTES | {
        "VisibilityTimeout": str(settings.MESSAGE_VISIBILITY_SECONDS),
        "RedrivePolicy": json.dumps(
            {"deadLetterTargetArn": dead_arn, "maxReceiveCount": MAX_RECEIVE_COUNT}
        ),
    }
    return [dead, _ensure(client, settings.PAYMENTS_QUEUE_NAME, wanted)]


# Fewer, and one unlucky restart would put a good message away.
LEAST_RECEIVE_COUNT = 3


def dead_letter_problem(queue_url: str) -> str:
    """Why a worker must not start on this queue; empty when all is well.

    Without a dead-letter queue one poison message would be received for 14 days.
    """
    reply = sqs_client().get_queue_attributes(QueueUrl=queue_url, AttributeNames=["RedrivePolicy"])
    policy = json.loads(reply.get("Attributes", {}).get("RedrivePolicy", "{}"))
    dead_letter_queue = policy.get("deadLetterTargetArn", "")
    if not dead_letter_queue:
        return NO_DEAD_LETTER_QUEUE
    if not dead_letter_queue.endswith(".fifo"):
        return "The queue's dead-letter queue is not a FIFO queue."
    if int(policy.get("maxReceiveCount", 0)) < LEAST_RECEIVE_COUNT:
        return f"The queue's maxReceiveCount is below {LEAST_RECEIVE_COUNT}."
    return ""


def _ensure(client: "SQSClient", name: str, wanted: dict[str, str]) -> QueueReport:
    try:
        url = client.get_queue_url(QueueName=name)["QueueUrl"]
    except client.exceptions.QueueDoesNotExist:
        client.create_queue(QueueName=name, Attributes=wanted)  # type: ignore[arg-type] # a plain dict of the names above
        return QueueReport(name, created=True, differences=[])
    reply = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    actual = {str(attribute): value for attribute, value in reply["Attributes"].items()}
    differences = [
        f"{attribute} is {actual.get(attribute, 'not set')}, should be {value}"
        for attribute, value in wanted.items()
        if not _same(actual.get(attribute), value)
    ]
    return QueueReport(name, created=False, differences=differences)


def _same(actual: str | None, wanted: str) -> bool:
    if actual is None:
        return False
    if wanted.startswith("{"):  # a policy: JSON whose numbers come back as numbers or as strings
        as_strings = [{k: str(v) for k, v in json.loads(p).items()} for p in (actual, wanted)]
        return as_strings[0] == as_strings[1]
    return actual.lower() == wanted.lower()
