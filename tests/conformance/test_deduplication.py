"""Which sends SQS takes for the same message."""

import hashlib
import string

import pytest

from tests.conformance.targets import Queue, Target, refused

FIVE_MINUTES = 300


def test_a_second_send_under_the_same_id_is_not_delivered(queue: Queue) -> None:
    """ "Exactly-once processing in Amazon SQS", Developer Guide."""
    queue.send("first", id_="one")
    queue.send("second", id_="one")

    assert queue.bodies() == ["first"]


def test_a_duplicate_is_answered_with_the_first_ones_message_id(queue: Queue) -> None:
    """SendMessage, API Reference: MessageDeduplicationId ("accepted successfully")."""
    first = queue.send("first", id_="one")
    second = queue.send("second", id_="one")

    assert second["MessageId"] == first["MessageId"]


def test_a_duplicate_is_answered_with_the_first_ones_sequence_number(queue: Queue) -> None:
    """SendMessage, API Reference: MessageDeduplicationId, SequenceNumber."""
    first = queue.send("first", id_="one")
    second = queue.send("second", id_="one")

    assert second["SequenceNumber"] == first["SequenceNumber"]


def test_a_deleted_message_is_still_known(queue: Queue) -> None:
    """SendMessage, API Reference: "continues to keep track of the message deduplication ID even
    after the message is received and deleted"."""
    first = queue.send("first", id_="one")
    queue.delete(queue.receive_one())
    second = queue.send("second", id_="one")

    assert queue.receive() == []
    assert second["MessageId"] == first["MessageId"]


def test_a_message_in_flight_is_still_known(queue: Queue) -> None:
    """ "Exactly-once processing in Amazon SQS", Developer Guide."""
    queue.send("first", "a", id_="one")
    queue.receive_one()
    queue.send("second", "b", id_="one")

    assert queue.receive() == []


def test_a_duplicate_is_known_for_just_under_five_minutes(target: Target, queue: Queue) -> None:
    """ "Using the message deduplication ID in Amazon SQS", Developer Guide."""
    queue.send("first", id_="one")
    queue.delete(queue.receive_one())
    target.advance(FIVE_MINUTES - 10)
    queue.send("second", id_="one")

    assert queue.receive() == []


def test_after_five_minutes_the_same_id_is_a_new_message(target: Target, queue: Queue) -> None:
    """SendMessage, API Reference: "after the deduplication interval, Amazon SQS can't detect
    duplicate messages"."""
    first = queue.send("first", id_="one")
    target.advance(FIVE_MINUTES + 1)
    second = queue.send("second", id_="one")

    assert second["MessageId"] != first["MessageId"]
    assert queue.bodies() == ["first", "second"]


def test_a_send_needs_an_id_where_content_does_not_make_one(queue: Queue) -> None:
    """SendMessage, API Reference: "the action fails with an error"."""
    with refused("InvalidParameterValue"):
        queue.send("first", id_=None)


def test_the_same_content_is_delivered_once_where_it_makes_the_id(target: Target) -> None:
    """SendMessage, API Reference: ContentBasedDeduplication."""
    queue = target.queue(ContentBasedDeduplication="true")

    first = queue.send("same", id_=None)
    second = queue.send("same", id_=None)

    assert second["MessageId"] == first["MessageId"]
    assert queue.bodies() == ["same"]


def test_another_content_is_another_message(target: Target) -> None:
    """SendMessage, API Reference: ContentBasedDeduplication."""
    queue = target.queue(ContentBasedDeduplication="true")

    queue.send("first", id_=None)
    queue.send("second", id_=None)

    assert queue.bodies() == ["first", "second"]


def test_attributes_are_no_part_of_the_content(target: Target) -> None:
    """SendMessage, API Reference: "the body of the message (but not the attributes)"."""
    queue = target.queue(ContentBasedDeduplication="true")

    for value in "12":
        attributes = {"try": {"DataType": "Number", "StringValue": value}}
        queue.send("same", id_=None, MessageAttributes=attributes)

    assert queue.bodies() == ["same"]


def test_a_given_id_overrides_that_of_the_content(target: Target) -> None:
    """SendMessage, API Reference: "your MessageDeduplicationId overrides the generated one"."""
    queue = target.queue(ContentBasedDeduplication="true")

    queue.send("same", id_="one")
    queue.send("same", id_="two")
    queue.send("other", id_="one")

    assert queue.bodies() == ["same", "same"]


def test_a_given_id_may_be_the_one_that_the_content_makes(target: Target) -> None:
    """SendMessage, API Reference: a SHA-256 hash; "the two messages are treated as duplicates"."""
    queue = target.queue(ContentBasedDeduplication="true")

    queue.send("first", id_=None)
    queue.send("second", id_=hashlib.sha256(b"first").hexdigest())

    assert queue.bodies() == ["first"]


def test_an_id_holds_for_the_whole_queue(target: Target) -> None:
    """CreateQueue, API Reference: DeduplicationScope, by default `queue`."""
    queue = target.queue()

    queue.send("first", "a", id_="one")
    queue.send("second", "b", id_="one")

    assert queue.bodies() == ["first"]


def test_an_id_holds_for_its_group_where_the_queue_says_so(target: Target) -> None:
    """ "High throughput for FIFO queues in Amazon SQS", Developer Guide: DeduplicationScope."""
    queue = target.queue(DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")

    queue.send("first", "a", id_="one")
    queue.send("second", "b", id_="one")
    queue.send("third", "a", id_="one")

    assert sorted(queue.bodies()) == ["first", "second"]


def test_throughput_by_group_needs_deduplication_by_group(target: Target) -> None:
    """CreateQueue, API Reference: perMessageGroupId "is allowed only when the value for
    DeduplicationScope is messageGroup"."""
    with refused("InvalidAttributeValue", "InvalidParameterValue"):
        target.queue(DeduplicationScope="queue", FifoThroughputLimit="perMessageGroupId")


def test_a_duplicate_within_a_batch_succeeds_and_is_not_delivered(queue: Queue) -> None:
    """SendMessageBatch, API Reference; "Exactly-once processing in Amazon SQS"."""
    reply = queue.client.send_message_batch(
        QueueUrl=queue.url,
        Entries=[
            {
                "Id": name,
                "MessageBody": name,
                "MessageGroupId": "group",
                "MessageDeduplicationId": "one",
            }
            for name in ("first", "second")
        ],
    )

    first, second = reply["Successful"]
    assert (first["Id"], second["Id"]) == ("first", "second")
    assert second["MessageId"] == first["MessageId"]
    assert queue.bodies() == ["first"]


def test_an_id_may_have_all_letters_digits_and_punctuation(queue: Queue) -> None:
    """SendMessage, API Reference: MessageDeduplicationId, 128 characters."""
    alphabet = string.ascii_letters + string.digits + string.punctuation
    ids = [alphabet, (string.punctuation * 4)[:128]]

    for id_ in ids:
        queue.send("first", id_=id_)

    told = [message["Attributes"]["MessageDeduplicationId"] for message in queue.receive(10)]
    assert told == ids


@pytest.mark.parametrize("id_", ["x" * 129, "with space", "é"], ids=["long", "space", "accent"])
def test_any_other_id_is_refused(queue: Queue, id_: str) -> None:
    """SendMessage, API Reference: MessageDeduplicationId."""
    with refused("InvalidParameterValue"):
        queue.send("first", id_=id_)
