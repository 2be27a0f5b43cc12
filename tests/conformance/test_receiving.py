"""What a receive may ask, how long it waits, and what it is told."""

import threading
import time
from queue import SimpleQueue

import pytest

from tests.conformance.targets import Queue, Target, refused


def test_an_empty_queue_gives_nothing(queue: Queue) -> None:
    """ReceiveMessage, API Reference: "does not return a message list"."""
    reply = queue.client.receive_message(QueueUrl=queue.url)

    assert not reply.get("Messages")


def test_one_message_comes_unless_more_are_asked_for(queue: Queue) -> None:
    """ReceiveMessage, API Reference: MaxNumberOfMessages, by default 1."""
    queue.send("first")
    queue.send("second")

    reply = queue.client.receive_message(QueueUrl=queue.url, WaitTimeSeconds=queue.wait_seconds)

    assert [message["Body"] for message in reply["Messages"]] == ["first"]


def test_up_to_ten_messages_come_at_once(queue: Queue) -> None:
    """ReceiveMessage, API Reference: MaxNumberOfMessages, up to 10."""
    for number in range(11):
        queue.send(str(number))

    assert len(queue.receive(10)) == 10


@pytest.mark.parametrize("at_most", [0, 11])
def test_more_than_ten_or_none_cannot_be_asked_for(queue: Queue, at_most: int) -> None:
    """ReceiveMessage, API Reference: MaxNumberOfMessages, from 1 to 10."""
    with refused("InvalidParameterValue"):
        queue.receive(at_most)


@pytest.mark.parametrize("seconds", [-1, 43_201])
def test_a_receive_hides_for_at_most_twelve_hours(queue: Queue, seconds: int) -> None:
    """ReceiveMessage, API Reference: VisibilityTimeout ("Amazon SQS message quotas")."""
    with refused("InvalidParameterValue"):
        queue.receive(hidden_for=seconds)


@pytest.mark.parametrize("seconds", [-1, 21])
def test_a_receive_waits_at_most_twenty_seconds(queue: Queue, seconds: int) -> None:
    """ "Amazon SQS short and long polling", Developer Guide: WaitTimeSeconds."""
    with refused("InvalidParameterValue"):
        queue.receive(WaitTimeSeconds=seconds)


def test_a_long_poll_ends_as_soon_as_a_message_comes(queue: Queue) -> None:
    """ReceiveMessage, API Reference: "the call returns sooner than WaitTimeSeconds"."""
    sending = threading.Timer(0.5, queue.send, ["first"])
    sending.start()
    started = time.monotonic()

    received = queue.bodies(WaitTimeSeconds=10)

    sending.join()
    assert received == ["first"]
    assert time.monotonic() - started < 9


def test_a_long_poll_ends_as_soon_as_a_message_is_shown_again(queue: Queue) -> None:
    """ "Amazon SQS short and long polling", Developer Guide."""
    queue.send("first")
    queue.receive_one(hidden_for=1)
    started = time.monotonic()

    received = queue.bodies(WaitTimeSeconds=10)

    assert received == ["first"]
    assert time.monotonic() - started < 9


def test_a_long_poll_ends_as_soon_as_a_group_is_free_again(queue: Queue) -> None:
    """ "Amazon SQS short and long polling", Developer Guide."""
    queue.send("first")
    queue.send("second")
    message = queue.receive_one()
    deleting = threading.Timer(0.5, queue.delete, [message])
    deleting.start()
    started = time.monotonic()

    received = queue.bodies(WaitTimeSeconds=10)

    deleting.join()
    assert received == ["second"]
    assert time.monotonic() - started < 9


def test_a_long_poll_for_nothing_ends_after_its_time(queue: Queue) -> None:
    """ReceiveMessage, API Reference: "the wait time expires"."""
    started = time.monotonic()

    assert queue.receive(WaitTimeSeconds=1) == []

    assert 0.9 < time.monotonic() - started < 9


def test_the_queue_says_how_long_to_wait_unless_the_receive_does(target: Target) -> None:
    """ "Amazon SQS short and long polling", Developer Guide: ReceiveMessageWaitTimeSeconds."""
    queue = target.queue(ReceiveMessageWaitTimeSeconds="4")

    started = time.monotonic()
    queue.client.receive_message(QueueUrl=queue.url)
    by_the_queue = time.monotonic() - started
    queue.receive(WaitTimeSeconds=0)
    by_the_receive = time.monotonic() - started - by_the_queue

    assert by_the_queue > 3.9
    assert by_the_receive < 3.9


def test_two_long_polls_never_get_the_same_message(queue: Queue) -> None:
    """ "FIFO queue delivery logic in Amazon SQS", Developer Guide."""
    received: SimpleQueue[list[str]] = SimpleQueue()
    polls = [
        threading.Thread(target=lambda: received.put(queue.bodies(WaitTimeSeconds=20)))
        for _ in range(2)
    ]
    for poll in polls:
        poll.start()
    queue.send("first", "a")
    first = received.get(timeout=30)
    queue.send("second", "b")  # for the other, which need not wait to its end
    for poll in polls:
        poll.join()

    assert [first, received.get()] == [["first"], ["second"]]


def test_the_group_and_the_deduplication_id_are_told(queue: Queue) -> None:
    """ReceiveMessage, API Reference: MessageSystemAttributeNames."""
    queue.send("first", "a", id_="one")

    told = queue.receive_one()["Attributes"]

    assert told["MessageGroupId"] == "a"
    assert told["MessageDeduplicationId"] == "one"


def test_the_sequence_number_of_the_send_is_told(queue: Queue) -> None:
    """SendMessage and ReceiveMessage, API Reference: SequenceNumber."""
    sent = queue.send("first")

    assert queue.receive_one()["Attributes"]["SequenceNumber"] == sent["SequenceNumber"]


def test_a_sequence_number_has_twenty_digits(queue: Queue) -> None:
    """SendMessage, API Reference: "The length of SequenceNumber is 128 bits"; "FIFO queue and
    message identifiers in Amazon SQS": "large, non-consecutive"."""
    sent = queue.send("first")

    assert sent["SequenceNumber"].isdecimal()
    assert len(sent["SequenceNumber"]) == 20


def test_sequence_numbers_rise_within_a_group(queue: Queue) -> None:
    """SendMessage, API Reference: "SequenceNumber continues to increase for a particular
    MessageGroupId"."""
    numbers = [int(queue.send(str(number))["SequenceNumber"]) for number in range(10)]

    assert numbers == sorted(set(numbers))


def test_receives_are_counted(queue: Queue) -> None:
    """ReceiveMessage, API Reference: ApproximateReceiveCount."""
    queue.send("first")

    counts = []
    for _ in range(3):
        message = queue.receive_one()
        counts.append(message["Attributes"]["ApproximateReceiveCount"])
        queue.hide(message, 0)

    assert counts == ["1", "2", "3"]


def test_a_message_held_back_in_its_group_is_not_counted_as_received(queue: Queue) -> None:
    """ReceiveMessage, API Reference: ApproximateReceiveCount."""
    queue.send("first")
    queue.send("second")
    first = queue.receive_one()
    queue.receive(10)
    queue.delete(first)

    assert queue.receive_one()["Attributes"]["ApproximateReceiveCount"] == "1"


def test_the_times_of_sending_and_of_the_first_receive_are_told(
    target: Target, queue: Queue
) -> None:
    """ReceiveMessage, API Reference: SentTimestamp, ApproximateFirstReceiveTimestamp, both in
    milliseconds; the first receive stays the first."""
    queue.send("first")
    target.advance(0.5)
    first = queue.receive_one(hidden_for=1)["Attributes"]
    target.advance(1.2)
    second = queue.receive_one()["Attributes"]

    between = int(first["ApproximateFirstReceiveTimestamp"]) - int(first["SentTimestamp"])
    assert 450 <= between < 20_000
    assert second["SentTimestamp"] == first["SentTimestamp"]
    first_received = first["ApproximateFirstReceiveTimestamp"]
    assert second["ApproximateFirstReceiveTimestamp"] == first_received


def test_only_the_system_attributes_asked_for_are_told(queue: Queue) -> None:
    """ReceiveMessage, API Reference: MessageSystemAttributeNames."""
    queue.send("first")

    told = queue.receive_one(MessageSystemAttributeNames=["MessageGroupId"])["Attributes"]

    assert told == {"MessageGroupId": "group"}


def test_no_system_attributes_are_told_unasked(queue: Queue) -> None:
    """ReceiveMessage, API Reference: MessageSystemAttributeNames."""
    queue.send("first")

    assert not queue.receive_one(MessageSystemAttributeNames=[]).get("Attributes")


def test_system_attributes_can_be_asked_for_in_the_older_way(queue: Queue) -> None:
    """ReceiveMessage, API Reference: AttributeNames, "supported for backward compatibility"."""
    queue.send("first")

    message = queue.receive_one(
        MessageSystemAttributeNames=[], AttributeNames=["ApproximateReceiveCount"]
    )

    assert message["Attributes"] == {"ApproximateReceiveCount": "1"}


def test_the_sender_is_told(queue: Queue) -> None:
    """ReceiveMessage, API Reference: SenderId."""
    queue.send("first")

    assert queue.receive_one()["Attributes"]["SenderId"]
