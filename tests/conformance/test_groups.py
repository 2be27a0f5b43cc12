"""In which order SQS hands messages out, and which it holds back."""

import string

import pytest

from tests.conformance.targets import Queue, Target, refused


def test_a_send_needs_a_group(queue: Queue) -> None:
    """ "FIFO queue delivery logic in Amazon SQS", Developer Guide: "the action fails"; "Common
    Errors", API Reference: MissingParameter."""
    with refused("MissingParameter"):
        queue.send("first", group=None)


def test_an_empty_group_is_refused(queue: Queue) -> None:
    """ "Amazon SQS message quotas", Developer Guide: message group ID."""
    with refused("MissingParameter", "InvalidParameterValue"):
        queue.send("first", "")


def test_a_group_may_have_all_letters_digits_and_punctuation(queue: Queue) -> None:
    """SendMessage, API Reference: MessageGroupId, 128 characters."""
    alphabet = string.ascii_letters + string.digits + string.punctuation
    groups = [alphabet, (string.punctuation * 4)[:128]]

    for group in groups:
        queue.send("first", group)

    told = [message["Attributes"]["MessageGroupId"] for message in queue.receive(10)]
    assert sorted(told) == sorted(groups)


@pytest.mark.parametrize("group", ["x" * 129, "with space", "é"], ids=["long", "space", "accent"])
def test_any_other_group_is_refused(queue: Queue, group: str) -> None:
    """SendMessage, API Reference: MessageGroupId."""
    with refused("InvalidParameterValue"):
        queue.send("first", group)


def test_a_group_is_received_in_the_order_it_was_sent(queue: Queue) -> None:
    """ "FIFO queue delivery logic in Amazon SQS", Developer Guide."""
    for number in range(5):
        queue.send(str(number))

    received = []
    for _ in range(5):
        message = queue.receive_one()
        received.append(message["Body"])
        queue.delete(message)

    assert received == ["0", "1", "2", "3", "4"]


def test_a_batch_is_received_in_the_order_of_its_entries(queue: Queue) -> None:
    """SendMessageBatch, API Reference: "enqueued in the order they are sent"."""
    queue.client.send_message_batch(
        QueueUrl=queue.url,
        Entries=[
            {
                "Id": f"entry-{number}",
                "MessageBody": str(number),
                "MessageGroupId": "group",
                "MessageDeduplicationId": f"{9 - number}",
            }
            for number in range(10)
        ],
    )

    assert queue.bodies() == [str(number) for number in range(10)]


def test_one_receive_may_bring_several_of_a_group_in_order(queue: Queue) -> None:
    """ "FIFO queue delivery logic in Amazon SQS", Developer Guide: up to 10 in a single call."""
    for number in range(4):
        queue.send(str(number))

    assert queue.bodies(3) == ["0", "1", "2"]


def test_one_receive_brings_as_many_of_one_group_as_it_can(queue: Queue) -> None:
    """ "FIFO queue delivery logic in Amazon SQS", Developer Guide: "first attempts to return as
    many messages with the same message group ID as possible"."""
    for number in range(3):
        queue.send(f"a{number}", "a")
        queue.send(f"b{number}", "b")

    first, second = queue.bodies(3), queue.bodies(3)

    assert sorted([first, second]) == [["a0", "a1", "a2"], ["b0", "b1", "b2"]]


def test_one_receive_may_bring_several_groups_each_in_order(queue: Queue) -> None:
    """SendMessage, API Reference: "For each MessageGroupId, the messages are sorted by time
    sent"."""
    for number in range(3):
        queue.send(f"a{number}", "a")
        queue.send(f"b{number}", "b")

    received = queue.bodies(10)

    assert [body for body in received if body[0] == "a"] == ["a0", "a1", "a2"]
    assert [body for body in received if body[0] == "b"] == ["b0", "b1", "b2"]


def test_a_group_is_held_back_while_one_of_it_is_in_flight(queue: Queue) -> None:
    """ReceiveMessage, API Reference: "no more messages belonging to the same MessageGroupId are
    returned until the visibility timeout expires"."""
    queue.send("first")
    queue.send("second")

    assert queue.receive_one()["Body"] == "first"

    assert queue.receive(10) == []


def test_a_later_send_to_a_group_in_flight_is_held_back(queue: Queue) -> None:
    """ "Interleaving multiple ordered message groups in Amazon SQS", Developer Guide."""
    queue.send("first")
    queue.receive_one()
    queue.send("second")

    assert queue.receive(10) == []


def test_another_group_is_not_held_back(queue: Queue) -> None:
    """ "Interleaving multiple ordered message groups in Amazon SQS", Developer Guide."""
    queue.send("first", "a")
    queue.send("second", "a")
    queue.send("other", "b")

    assert queue.bodies(1) == ["first"]

    assert queue.bodies() == ["other"]


def test_the_next_comes_once_the_first_is_deleted(queue: Queue) -> None:
    """ "Using the message group ID with Amazon SQS FIFO queues", Developer Guide."""
    queue.send("first")
    queue.send("second")

    queue.delete(queue.receive_one())

    assert queue.bodies() == ["second"]


def test_a_group_is_held_back_until_all_of_a_batch_are_deleted(queue: Queue) -> None:
    """ReceiveMessage, API Reference: "While messages with a particular MessageGroupId are
    invisible"."""
    for number in range(3):
        queue.send(str(number))
    first, second = queue.receive(2)

    queue.delete(first)
    assert queue.receive() == []

    queue.delete(second)
    assert queue.bodies() == ["2"]


def test_a_batch_may_be_deleted_in_any_order(queue: Queue) -> None:
    """DeleteMessage, API Reference."""
    for number in range(3):
        queue.send(str(number))
    first, second = queue.receive(2)

    queue.delete(second)
    assert queue.receive() == []

    queue.delete(first)
    assert queue.bodies() == ["2"]


def test_an_expired_message_comes_again_before_those_behind_it(
    target: Target, queue: Queue
) -> None:
    """ "FIFO queue delivery logic in Amazon SQS", Developer Guide."""
    queue.send("first")
    queue.send("second")
    queue.receive_one(hidden_for=1)
    target.advance(1.2)

    assert queue.bodies() == ["first", "second"]


def test_a_batch_that_expired_comes_again_in_order(target: Target, queue: Queue) -> None:
    """ "Exactly-once processing in Amazon SQS", Developer Guide."""
    for number in range(4):
        queue.send(str(number))
    assert queue.bodies(3, hidden_for=1) == ["0", "1", "2"]
    target.advance(1.2)

    assert queue.bodies() == ["0", "1", "2", "3"]


def test_a_batch_that_expired_comes_again_in_order_one_by_one(target: Target, queue: Queue) -> None:
    """ "Exactly-once processing in Amazon SQS", Developer Guide."""
    for number in range(3):
        queue.send(str(number))
    queue.receive(3, hidden_for=1)
    target.advance(1.2)

    received = []
    for _ in range(3):
        message = queue.receive_one()
        received.append(message["Body"])
        queue.delete(message)

    assert received == ["0", "1", "2"]


def test_a_batch_that_is_put_back_comes_again_in_order(queue: Queue) -> None:
    """ChangeMessageVisibility, API Reference."""
    for number in range(3):
        queue.send(str(number))

    for message in reversed(queue.receive(3)):
        queue.hide(message, 0)

    assert queue.bodies() == ["0", "1", "2"]


@pytest.mark.parametrize("put_back", [0, 1], ids=["first", "second"])
def test_a_message_that_is_put_back_waits_for_the_rest_of_its_batch(
    queue: Queue, put_back: int
) -> None:
    """ReceiveMessage, API Reference: "While messages with a particular MessageGroupId are
    invisible, no more messages belonging to the same MessageGroupId are returned"."""
    queue.send("first")
    queue.send("second")
    batch = queue.receive(2)

    queue.hide(batch[put_back], 0)
    assert queue.receive(10) == []

    queue.hide(batch[1 - put_back], 0)
    assert queue.bodies() == ["first", "second"]


def test_what_is_left_of_a_batch_comes_before_the_rest_of_its_group(
    target: Target, queue: Queue
) -> None:
    """ "FIFO queue delivery logic in Amazon SQS", Developer Guide."""
    for number in range(3):
        queue.send(str(number))
    _, second = queue.receive(2, hidden_for=target.short)
    queue.delete(second)
    target.advance(target.short + 0.2)

    assert queue.bodies() == ["0", "2"]


def test_many_groups_are_each_received_in_order(queue: Queue) -> None:
    """ "Interleaving multiple ordered message groups in Amazon SQS", Developer Guide."""
    for number in range(4):
        for group in "abcde":
            queue.send(f"{group}{number}", group)

    received: list[str] = []
    while messages := queue.receive(7):
        for message in messages:
            received.append(message["Body"])
            queue.delete(message)

    for group in "abcde":
        of_group = [body for body in received if body[0] == group]
        assert of_group == [f"{group}{number}" for number in range(4)]
