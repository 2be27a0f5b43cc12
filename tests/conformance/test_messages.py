"""What a message may hold, and that it arrives as it was sent."""

import hashlib
import struct

import pytest

from tests.conformance.targets import Queue, Target, refused

LARGEST = 1_048_576

Attributes = dict[str, dict[str, str | bytes]]


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def md5_of(attributes: Attributes) -> str:
    """ "Amazon SQS message metadata", Developer Guide: calculating the message digest."""

    def measured(part: bytes) -> bytes:
        return struct.pack(">I", len(part)) + part

    digest = hashlib.md5(usedforsecurity=False)
    for name, attribute in sorted(attributes.items()):
        digest.update(measured(name.encode()))
        digest.update(measured(str(attribute["DataType"]).encode()))
        value = attribute.get("StringValue", attribute.get("BinaryValue"))
        if isinstance(value, bytes):
            digest.update(b"\x02" + measured(value))
        else:
            digest.update(b"\x01" + measured(str(value).encode()))
    return digest.hexdigest()


def test_the_digest_of_the_body_is_told_to_sender_and_receiver(queue: Queue) -> None:
    """SendMessage, API Reference: MD5OfMessageBody; ReceiveMessage: MD5OfBody."""
    sent = queue.send("body")

    assert sent["MD5OfMessageBody"] == md5("body")
    assert queue.receive_one()["MD5OfBody"] == md5("body")


def test_the_message_id_told_to_the_sender_is_the_receivers(queue: Queue) -> None:
    """ "Amazon SQS queue and message identifiers", Developer Guide: message ID."""
    sent = queue.send("body")

    assert queue.receive_one()["MessageId"] == sent["MessageId"]


@pytest.mark.parametrize(
    "body",
    [
        "\t\n\r ~",
        '{"v": 1}',
        "<a>&amp;</a> & <b/>",
        "é ß € 漢字",
        "\ud7ff\ue000\ufffd",
        "😀\U0010ffff",
    ],
    ids=["white space", "JSON", "XML", "letters", "borders", "beyond 16 bits"],
)
def test_a_body_arrives_as_it_was_sent(queue: Queue, body: str) -> None:
    """SendMessage, API Reference: the Unicode characters allowed."""
    queue.send(body)

    message = queue.receive_one()

    assert message["Body"] == body
    assert message["MD5OfBody"] == md5(body)


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x1f", "\ufffe", "\uffff"], ids=ascii)
def test_other_characters_are_refused(queue: Queue, character: str) -> None:
    """SendMessage, API Reference: InvalidMessageContents."""
    with refused("InvalidMessageContents"):
        queue.send(f"before{character}after")


def test_an_empty_body_is_refused(queue: Queue) -> None:
    """SendMessage, API Reference: "The minimum size is one character"."""
    with refused("MissingParameter", "InvalidParameterValue"):
        queue.send("")


def test_the_largest_body_arrives(queue: Queue) -> None:
    """SendMessage, API Reference: "The maximum size is 1 MiB"."""
    queue.send("x" * LARGEST)

    assert len(queue.receive_one()["Body"]) == LARGEST


def test_a_larger_body_is_refused(queue: Queue) -> None:
    """SendMessage, API Reference: "The maximum size is 1 MiB"."""
    with refused("InvalidParameterValue"):
        queue.send("x" * (LARGEST + 1))


def test_bytes_are_counted_and_not_characters(target: Target) -> None:
    """CreateQueue, API Reference: MaximumMessageSize, "how many bytes"."""
    queue = target.queue(MaximumMessageSize="1024")

    queue.send("x" * 1024)
    with refused("InvalidParameterValue"):
        queue.send("é" * 513)


def test_a_queue_may_take_less(target: Target) -> None:
    """CreateQueue, API Reference: MaximumMessageSize."""
    queue = target.queue(MaximumMessageSize="1024")

    queue.send("x" * 1024)
    with refused("InvalidParameterValue"):
        queue.send("x" * 1025)


def test_attributes_count_as_part_of_the_size(target: Target) -> None:
    """ "Amazon SQS message metadata", Developer Guide: "included in the message size"."""
    queue = target.queue(MaximumMessageSize="1024")
    attributes = {"name": {"DataType": "String", "StringValue": "value"}}

    queue.send("x" * 1009, MessageAttributes=attributes)
    with refused("InvalidParameterValue"):
        queue.send("x" * 1010, MessageAttributes=attributes)


def test_a_delay_of_one_message_is_refused(queue: Queue) -> None:
    """SendMessage, API Reference: "When you set FifoQueue, you can't set DelaySeconds per
    message"."""
    with refused("InvalidParameterValue"):
        queue.send("first", DelaySeconds=1)


def test_attributes_pass_through(queue: Queue) -> None:
    """ "Amazon SQS message metadata", Developer Guide: String, Number, Binary and custom types."""
    attributes: Attributes = {
        "text": {"DataType": "String", "StringValue": "é"},
        "number": {"DataType": "Number", "StringValue": "12.5"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        "custom": {"DataType": "Number.int", "StringValue": "3"},
    }
    sent = queue.send("body", MessageAttributes=attributes)

    message = queue.receive_one(MessageAttributeNames=["All"])

    assert message["MessageAttributes"] == attributes
    assert sent["MD5OfMessageAttributes"] == md5_of(attributes)
    assert message["MD5OfMessageAttributes"] == md5_of(attributes)


def test_only_the_attributes_asked_for_arrive(queue: Queue) -> None:
    """ReceiveMessage, API Reference: MessageAttributeNames, names and prefixes."""
    names = ["first", "second", "bar.one", "bar.two"]
    attributes: Attributes = {n: {"DataType": "String", "StringValue": n} for n in names}
    queue.send("body", MessageAttributes=attributes)

    asked: list[list[str]] = []
    for wanted in (["first"], ["bar.*"], [".*"], []):
        message = queue.receive_one(MessageAttributeNames=wanted)
        asked.append(sorted(message.get("MessageAttributes", {})))
        queue.hide(message, 0)

    assert asked == [["first"], ["bar.one", "bar.two"], sorted(names), []]


def test_ten_attributes_are_taken_and_eleven_refused(queue: Queue) -> None:
    """ "Amazon SQS message quotas", Developer Guide: message attributes."""
    attributes = {f"n{n}": {"DataType": "String", "StringValue": "x"} for n in range(11)}

    queue.send("body", MessageAttributes=dict(list(attributes.items())[:10]))
    with refused("InvalidParameterValue"):
        queue.send("body", MessageAttributes=attributes)


def test_an_empty_attribute_is_refused(queue: Queue) -> None:
    """ "Amazon SQS message metadata", Developer Guide: "must not be empty or null"."""
    with refused("InvalidParameterValue"):
        queue.send("body", MessageAttributes={"n": {"DataType": "String", "StringValue": ""}})
