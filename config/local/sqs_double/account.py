"""The queues of one account, and SQS's actions on them: what is asked, checked and answered.

Names, limits and errors are those of the Amazon SQS API Reference, page by page.
"""

import base64
import hashlib
import json
import re
import struct
import uuid
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

from config.local.sqs_double import errors
from config.local.sqs_double.errors import QueueError
from config.local.sqs_double.fifo import FifoQueue, HandleRefused, Message, Note, NotInFlight

REGION = "us-east-1"
ACCOUNT = "000000000000"

# SendMessage and SendMessageBatch (API Reference): one message, and a batch in all.
MOST_BYTES = 1024 * 1024

MOST_ENTRIES = 10
MOST_MESSAGE_ATTRIBUTES = 10
PURGE_AGAIN_SECONDS = 60

# Attribute → default, smallest and largest value (CreateQueue, API Reference).
NUMBERS = {
    "DelaySeconds": (0, 0, 900),
    "MaximumMessageSize": (MOST_BYTES, 1024, MOST_BYTES),
    "MessageRetentionPeriod": (345_600, 60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 0, 20),
    "VisibilityTimeout": (30, 0, 43_200),
}
CHOICES = {
    "FifoQueue": ("true",),
    "ContentBasedDeduplication": ("false", "true"),
    "DeduplicationScope": ("queue", "messageGroup"),
    "FifoThroughputLimit": ("perQueue", "perMessageGroupId"),
    "SqsManagedSseEnabled": ("true", "false"),
}
TEXTS = {"Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId"}
TEXTS |= {"KmsDataKeyReusePeriodSeconds"}

QUEUE_NAME = re.compile(r"[A-Za-z0-9_-]{1,75}\.fifo")
IDENTIFIER = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}")
ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
# The characters of XML 1.0 (SendMessage, MessageBody).
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Json = dict[str, Any]


class Account:
    def __init__(self, *, url: str, clock: Callable[[], float], note: Note) -> None:
        self.url = url
        self.queues: dict[str, FifoQueue] = {}
        self._clock = clock
        self._note = note
        self._sequence = count(1)
        # What faults add to a send: seconds until it may be received.
        self.lateness: Callable[[], float] = lambda: 0
        # And what they take from a batch: whether an entry is to fail.
        self.fails: Callable[[str], bool] = lambda _: False
        # And whether a delete is acknowledged and not done.
        self.keeps: Callable[[], bool] = lambda: False
        # And whether every message is delivered a second time, after its first delete.
        self.delivers_twice = False

    def act(self, action: str, request: Json) -> Json:
        method = ACTIONS.get(action)
        if method is None:
            raise QueueError("UnsupportedOperation", f"{action} is not offered here.")
        return method(self, request)

    # --- Queues -------------------------------------------------------------------------------

    def create_queue(self, request: Json) -> Json:
        name = _text(request, "QueueName")
        asked = {str(key): str(value) for key, value in request.get("Attributes", {}).items()}
        if not QUEUE_NAME.fullmatch(name):
            raise errors.invalid(
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or "
                "underscores, must end with .fifo suffix and be 1 to 80 in length."
            )
        self._check_attributes(asked, asked)
        if asked.get("FifoQueue") != "true":
            raise errors.invalid("Only FIFO queues are offered here: FifoQueue must be true.")
        if existing := self.queues.get(name):
            if any(existing.attributes.get(key) != value for key, value in asked.items()):
                raise errors.queue_exists()
            return {"QueueUrl": self._url(name)}
        defaults = {key: str(numbers[0]) for key, numbers in NUMBERS.items()}
        defaults |= {key: choices[0] for key, choices in CHOICES.items()}
        self._note("created", queue=name)
        self.queues[name] = FifoQueue(
            name,
            defaults | asked,
            dead_letters=self._by_arn,
            note=self._note,
            sequence=self._sequence,
            created_at=self._clock(),
        )
        self.queues[name].tags = dict(request.get("tags", {}))
        return {"QueueUrl": self._url(name)}

    def get_queue_url(self, request: Json) -> Json:
        name = _text(request, "QueueName")
        if name not in self.queues:
            raise errors.no_such_queue()
        return {"QueueUrl": self._url(name)}

    def list_queues(self, request: Json) -> Json:
        prefix = request.get("QueueNamePrefix", "")
        return {"QueueUrls": [self._url(name) for name in self.queues if name.startswith(prefix)]}

    def delete_queue(self, request: Json) -> Json:
        del self.queues[self._queue(request).name]
        return {}

    def get_queue_attributes(self, request: Json) -> Json:
        queue = self._queue(request)
        visible, in_flight, delayed = queue.counts(self._clock())
        known = queue.attributes | {
            "QueueArn": _arn(queue.name),
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(in_flight),
            "ApproximateNumberOfMessagesDelayed": str(delayed),
            "CreatedTimestamp": str(int(queue.created_at)),
            "LastModifiedTimestamp": str(int(queue.changed_at)),
        }
        wanted = request.get("AttributeNames", [])
        for name in wanted:
            if name not in known and name != "All" and name not in TEXTS:
                raise errors.invalid_attribute_name(name)
        chosen = known if "All" in wanted else {k: v for k, v in known.items() if k in wanted}
        return {"Attributes": chosen} if chosen else {}

    def set_queue_attributes(self, request: Json) -> Json:
        queue = self._queue(request)
        asked = {str(key): str(value) for key, value in request.get("Attributes", {}).items()}
        if "FifoQueue" in asked:
            raise errors.invalid_attribute_value("FifoQueue")
        self._check_attributes(asked, queue.attributes | asked)
        queue.attributes |= asked
        queue.changed_at = self._clock()
        return {}

    def purge_queue(self, request: Json) -> Json:
        queue = self._queue(request)
        if self._clock() - queue.purged_at < PURGE_AGAIN_SECONDS:
            message = f"Only one PurgeQueue operation on {queue.name} is allowed every 60 seconds."
            raise QueueError(
                "PurgeQueueInProgress",
                message,
                query_name="AWS.SimpleQueueService.PurgeQueueInProgress",
                status=403,
            )
        queue.purge(self._clock())
        return {}

    def list_dead_letter_source_queues(self, request: Json) -> Json:
        sources = self._sources_of(self._queue(request))
        return {"queueUrls": [self._url(queue.name) for queue in sources]}

    def start_message_move_task(self, request: Json) -> Json:
        """All at once, each to where it came from or to the given queue, under a new message id."""
        source = self._by_arn(_text(request, "SourceArn"))
        given = request.get("DestinationArn")
        if source is None or (given and self._by_arn(given) is None):
            raise QueueError(
                "ResourceNotFoundException", "The resource does not exist.", status=404
            )
        if not self._sources_of(source):
            raise errors.invalid("Source queue must be configured as a Dead Letter Queue.")
        for message in source.messages(self._clock()):
            target = self._by_arn(given or _arn(message.dead_letter_source))
            if target and not message.invisible_until:
                source.forget(message, now=self._clock())
                target.send(
                    message.body,
                    group=message.group,
                    deduplication_id=str(uuid.uuid4()),
                    attributes=message.attributes,
                    now=self._clock(),
                )
        return {"TaskHandle": str(uuid.uuid4())}

    def tag_queue(self, request: Json) -> Json:
        self._queue(request).tags |= request.get("Tags", {})
        return {}

    def list_queue_tags(self, request: Json) -> Json:
        return {"Tags": self._queue(request).tags}

    # --- Messages -----------------------------------------------------------------------------

    def send_message(self, request: Json) -> Json:
        return self._send(self._queue(request), request)

    def send_message_batch(self, request: Json) -> Json:
        queue, entries = self._queue(request), _entries(request)
        if sum(_size(entry) for entry in entries) > MOST_BYTES:
            raise errors.batch(
                "BatchRequestTooLong",
                f"Batch requests cannot be longer than {MOST_BYTES} bytes.",
            )
        # Amazon fails the whole batch for these, and not the entry.
        for entry in entries:
            if entry.get("MessageGroupId") is None:
                raise errors.invalid("The request must contain the parameter MessageGroupId.")
            _deduplication_id(queue, entry)
        return self._each(entries, lambda entry: self._send(queue, entry), "send")

    def receive_message(self, request: Json) -> Json:
        queue = self._queue(request)
        visibility = _number(
            request, "VisibilityTimeout", queue.number("VisibilityTimeout"), 0, 43_200
        )
        attempt_id = request.get("ReceiveRequestAttemptId", "")
        if attempt_id and not IDENTIFIER.fullmatch(attempt_id):
            raise errors.invalid("ReceiveRequestAttemptId can only be 1 to 128 characters.")
        messages = queue.receive(
            at_most=_number(request, "MaxNumberOfMessages", 1, 1, 10),
            visibility_seconds=visibility,
            now=self._clock(),
            attempt_id=attempt_id,
        )
        wanted = {
            *request.get("AttributeNames", []),
            *request.get("MessageSystemAttributeNames", []),
        }
        named = request.get("MessageAttributeNames", [])
        told = [_told(message, wanted, named) for message in messages]
        return {"Messages": told} if told else {}

    def wait_seconds(self, request: Json) -> tuple[FifoQueue, int]:
        """How long a receive may wait for a message; also checks what is asked."""
        queue = self._queue(request)
        waiting = queue.number("ReceiveMessageWaitTimeSeconds")
        return queue, _number(request, "WaitTimeSeconds", waiting, 0, 20)

    def delete_message(self, request: Json) -> Json:
        return self._delete(self._queue(request), request)

    def delete_message_batch(self, request: Json) -> Json:
        queue = self._queue(request)
        return self._each(_entries(request), lambda entry: self._delete(queue, entry), "delete")

    def change_message_visibility(self, request: Json) -> Json:
        return self._change_visibility(self._queue(request), request)

    def change_message_visibility_batch(self, request: Json) -> Json:
        queue = self._queue(request)
        entries = _entries(request)
        return self._each(entries, lambda entry: self._change_visibility(queue, entry), "change")

    def _send(self, queue: FifoQueue, entry: Json) -> Json:
        body = _text(entry, "MessageBody")
        attributes = entry.get("MessageAttributes", {})
        if _size(entry) > queue.number("MaximumMessageSize"):
            raise errors.invalid(
                "One or more parameters are invalid. Reason: Message must be shorter than "
                f"{queue.attributes['MaximumMessageSize']} bytes."
            )
        _check_message_attributes(attributes)
        if FORBIDDEN.search(body):
            raise QueueError(
                "InvalidMessageContents",
                "The message contains characters outside the allowed set.",
            )
        if entry.get("DelaySeconds"):
            raise errors.invalid(
                f"Value {entry['DelaySeconds']} for parameter DelaySeconds is invalid. Reason: The "
                "request include parameter that is not valid for this queue type."
            )
        group = _text(entry, "MessageGroupId")
        deduplication_id = _deduplication_id(queue, entry)
        for name, value in (
            ("MessageGroupId", group),
            ("MessageDeduplicationId", deduplication_id),
        ):
            if not IDENTIFIER.fullmatch(value):
                raise errors.invalid(
                    f"Value for parameter {name} is invalid. Reason: {name} can only include "
                    "alphanumeric and punctuation characters. 1 to 128 in length."
                )
        message = queue.send(
            body,
            group=group,
            deduplication_id=deduplication_id,
            attributes=attributes,
            now=self._clock(),
            late_by=self.lateness(),
        )
        answer = {
            "MessageId": message.id,
            "MD5OfMessageBody": _md5(message.body),
            "SequenceNumber": message.sequence_number,
        }
        if message.attributes:
            answer["MD5OfMessageAttributes"] = _md5_of_attributes(message.attributes)
        return answer

    def _delete(self, queue: FifoQueue, entry: Json) -> Json:
        if self.keeps():
            return {}
        handle, now = _text(entry, "ReceiptHandle"), self._clock()
        try:
            if self.delivers_twice and queue.deliver_again(handle, now=now):
                return {}
            queue.delete(handle, now=now)
        except HandleRefused as error:
            raise _refused(entry) from error
        return {}

    def _change_visibility(self, queue: FifoQueue, entry: Json) -> Json:
        if "VisibilityTimeout" not in entry:
            raise errors.missing("VisibilityTimeout")
        seconds = _number(entry, "VisibilityTimeout", 0, 0, 43_200)
        try:
            queue.change_visibility(_text(entry, "ReceiptHandle"), seconds, now=self._clock())
        except HandleRefused as error:
            raise _refused(entry) from error
        except NotInFlight:
            raise QueueError(
                "MessageNotInflight",
                "The message is not in flight.",
                query_name="AWS.SimpleQueueService.MessageNotInflight",
            ) from None
        except ValueError as error:
            raise errors.invalid(
                f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: {error}."
            ) from None
        return {}

    def _each(self, entries: Sequence[Json], act: Callable[[Json], Json], what: str) -> Json:
        successful: list[Json] = []
        failed: list[Json] = []
        for entry in entries:
            try:
                if self.fails(what):
                    raise errors.internal()
                successful.append({"Id": entry["Id"], **act(entry)})
            except QueueError as error:
                failed.append(
                    {
                        "Id": entry["Id"],
                        "SenderFault": error.sender,
                        "Code": error.query_name,
                        "Message": error.message,
                    }
                )
        answer: Json = {"Successful": successful}
        if failed:
            answer["Failed"] = failed
        return answer

    # --- Which queue --------------------------------------------------------------------------

    def _url(self, name: str) -> str:
        return f"{self.url}/{ACCOUNT}/{name}"

    def _queue(self, request: Json) -> FifoQueue:
        name = _text(request, "QueueUrl").rpartition("/")[2]
        if name not in self.queues:
            raise errors.no_such_queue()
        return self.queues[name]

    def _sources_of(self, dead_letters: FifoQueue) -> list[FifoQueue]:
        arn = _arn(dead_letters.name)
        return [q for q in self.queues.values() if q.redrive and q.redrive[0] == arn]

    def _by_arn(self, arn: str) -> FifoQueue | None:
        return self.queues.get(arn.rpartition(":")[2])

    def _check_attributes(self, asked: dict[str, str], together: dict[str, str]) -> None:
        for name, value in asked.items():
            if name in NUMBERS:
                _, smallest, largest = NUMBERS[name]
                if not value.isdecimal() or not smallest <= int(value) <= largest:
                    raise errors.invalid_attribute_value(name)
            elif name in CHOICES:
                if value not in CHOICES[name] and not (name == "FifoQueue" and value == "false"):
                    raise errors.invalid_attribute_value(name)
            elif name not in TEXTS:
                raise errors.invalid_attribute_name(name)
        by_group = together.get("DeduplicationScope") == "messageGroup"
        if together.get("FifoThroughputLimit") == "perMessageGroupId" and not by_group:
            raise errors.invalid_attribute_value("FifoThroughputLimit")
        if asked.get("RedrivePolicy"):
            self._check_redrive(asked["RedrivePolicy"])

    def _check_redrive(self, text: str) -> None:
        try:
            policy = json.loads(text)
            target, receives = str(policy["deadLetterTargetArn"]), int(policy["maxReceiveCount"])
        except (ValueError, KeyError, TypeError):
            raise errors.invalid_attribute_value("RedrivePolicy") from None
        # "The dead-letter queue of a FIFO queue must also be a FIFO queue."
        if not target.endswith(".fifo") or not 1 <= receives <= 1000:
            raise errors.invalid_attribute_value("RedrivePolicy")
        if self._by_arn(target) is None:
            raise errors.invalid_attribute_value("RedrivePolicy")


ACTIONS: dict[str, Callable[[Account, Json], Json]] = {
    "ChangeMessageVisibility": Account.change_message_visibility,
    "ChangeMessageVisibilityBatch": Account.change_message_visibility_batch,
    "CreateQueue": Account.create_queue,
    "DeleteMessage": Account.delete_message,
    "DeleteMessageBatch": Account.delete_message_batch,
    "DeleteQueue": Account.delete_queue,
    "GetQueueAttributes": Account.get_queue_attributes,
    "GetQueueUrl": Account.get_queue_url,
    "ListDeadLetterSourceQueues": Account.list_dead_letter_source_queues,
    "ListQueueTags": Account.list_queue_tags,
    "ListQueues": Account.list_queues,
    "PurgeQueue": Account.purge_queue,
    "ReceiveMessage": Account.receive_message,
    "SendMessage": Account.send_message,
    "SendMessageBatch": Account.send_message_batch,
    "SetQueueAttributes": Account.set_queue_attributes,
    "StartMessageMoveTask": Account.start_message_move_task,
    "TagQueue": Account.tag_queue,
}


def _arn(name: str) -> str:
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def _text(request: Json, name: str) -> str:
    value = request.get(name)
    if value is None:
        raise errors.missing(name)
    if not isinstance(value, str) or not value:
        raise errors.invalid(f"Value for parameter {name} is invalid.")
    return value


def _number(request: Json, name: str, default: int, smallest: int, largest: int) -> int:
    value = request.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or not smallest <= value <= largest:
        raise errors.invalid(
            f"Value {value} for parameter {name} is invalid. Reason: Must be between {smallest} "
            f"and {largest}, if provided."
        )
    return value


def _entries(request: Json) -> list[Json]:
    entries: list[Json] = request.get("Entries", [])
    ids = [entry.get("Id", "") for entry in entries]
    if not entries:
        raise errors.batch("EmptyBatchRequest", "There should be at least one entry.")
    if len(entries) > MOST_ENTRIES:
        message = f"Maximum number of entries per request are 10. You have sent {len(entries)}."
        raise errors.batch("TooManyEntriesInBatchRequest", message)
    if not all(isinstance(id_, str) and ENTRY_ID.fullmatch(id_) for id_ in ids):
        raise errors.batch(
            "InvalidBatchEntryId",
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
            "It can be at most 80 letters long.",
        )
    if len(set(ids)) < len(ids):
        repeated = next(id_ for id_ in ids if ids.count(id_) > 1)
        raise errors.batch("BatchEntryIdsNotDistinct", f"Id {repeated} repeated.")
    return entries


def _deduplication_id(queue: FifoQueue, entry: Json) -> str:
    given = entry.get("MessageDeduplicationId")
    if given is not None:
        return str(given)
    if not queue.deduplicates_by_content:
        raise errors.invalid(
            "The queue should either have ContentBasedDeduplication enabled or "
            "MessageDeduplicationId provided explicitly"
        )
    return hashlib.sha256(str(entry.get("MessageBody", "")).encode()).hexdigest()


def _check_message_attributes(attributes: Json) -> None:
    """ "Amazon SQS message quotas" and "Amazon SQS message metadata" (Developer Guide)."""
    if len(attributes) > MOST_MESSAGE_ATTRIBUTES:
        raise errors.invalid(
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum "
            f"[{MOST_MESSAGE_ATTRIBUTES}]."
        )
    for name, value in attributes.items():
        if not value.get("StringValue") and not value.get("BinaryValue"):
            raise errors.invalid(
                f"Message (user) attribute '{name}' must contain a non-empty value of type "
                f"'{value.get('DataType')}'."
            )


def _size(entry: Json) -> int:
    """The body and the names, types and values of its attributes count."""
    attributes = entry.get("MessageAttributes", {})
    return len(str(entry.get("MessageBody", "")).encode()) + sum(
        len(name.encode()) + sum(len(str(part).encode()) for part in value.values())
        for name, value in attributes.items()
    )


def _refused(entry: Json) -> QueueError:
    handle = entry["ReceiptHandle"]
    is_ours = re.fullmatch(r"\d+\.\d+\.[\w-]+", handle)
    return errors.handle_refused() if is_ours else errors.handle_unknown()


def _told(message: Message, wanted: set[str], named: Sequence[str]) -> Json:
    system = {
        "ApproximateFirstReceiveTimestamp": str(int(message.first_received_at * 1000)),
        "ApproximateReceiveCount": str(message.receives),
        "MessageDeduplicationId": message.deduplication_id,
        "MessageGroupId": message.group,
        "SenderId": ACCOUNT,
        "SentTimestamp": str(int(message.sent_at * 1000)),
        "SequenceNumber": message.sequence_number,
    }
    if message.dead_letter_source:
        system["DeadLetterQueueSourceArn"] = _arn(message.dead_letter_source)
    told: Json = {
        "MessageId": message.id,
        "ReceiptHandle": message.handle,
        "MD5OfBody": _md5(message.body),
        "Body": message.body,
    }
    if chosen := {k: v for k, v in system.items() if "All" in wanted or k in wanted}:
        told["Attributes"] = chosen
    if attributes := {k: v for k, v in message.attributes.items() if _is_named(k, named)}:
        told["MessageAttributes"] = attributes
        told["MD5OfMessageAttributes"] = _md5_of_attributes(attributes)
    return told


def _is_named(attribute: str, named: Iterable[str]) -> bool:
    return any(
        name in ("All", ".*", attribute)
        or (name.endswith(".*") and attribute.startswith(name[:-2]))
        for name in named
    )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _md5_of_attributes(attributes: Json) -> str:
    """The rule is "Calculating the MD5 message digest for message attributes" (Developer Guide)."""

    def measured(part: bytes) -> bytes:
        return struct.pack("!I", len(part)) + part

    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        value = attributes[name]
        digest.update(measured(name.encode()) + measured(value["DataType"].encode()))
        if "StringValue" in value:
            digest.update(b"\x01" + measured(value["StringValue"].encode()))
        else:
            digest.update(b"\x02" + measured(base64.b64decode(value["BinaryValue"])))
    return digest.hexdigest()
