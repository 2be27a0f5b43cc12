"""How long a received message stays hidden, and what its receipt handle is good for."""

import pytest

from tests.conformance.targets import Queue, Target, refused

TWELVE_HOURS = 43_200
NOT_IN_FLIGHT = "AWS.SimpleQueueService.MessageNotInflight"

# What the API Reference leaves open: which of its errors a lapsed handle is refused with.
REFUSED = ("InvalidParameterValue", "ReceiptHandleIsInvalid", NOT_IN_FLIGHT)


def test_a_received_message_is_hidden(queue: Queue) -> None:
    """ "Amazon SQS visibility timeout", Developer Guide."""
    queue.send("first")
    queue.receive_one()

    assert queue.receive() == []


def test_an_expired_message_comes_again(target: Target, queue: Queue) -> None:
    """ "Amazon SQS visibility timeout", Developer Guide."""
    queue.send("first")
    first = queue.receive_one(hidden_for=1)
    target.advance(1.2)
    second = queue.receive_one()

    assert second["MessageId"] == first["MessageId"]
    assert second["ReceiptHandle"] != first["ReceiptHandle"]


def test_the_queue_says_for_how_long_unless_the_receive_does(target: Target) -> None:
    """ReceiveMessage, API Reference: VisibilityTimeout."""
    queue = target.queue(VisibilityTimeout=str(target.short))
    queue.send("short", "a")
    queue.send("long", "b")
    assert queue.bodies(1) == ["short"]
    assert queue.bodies(1, hidden_for=600) == ["long"]
    target.advance(target.short + 0.2)

    assert queue.bodies() == ["short"]


def test_a_receive_may_hide_nothing(queue: Queue) -> None:
    """ReceiveMessage, API Reference: VisibilityTimeout; "Amazon SQS message quotas": from 0."""
    queue.send("first")
    queue.receive_one(hidden_for=0)

    assert queue.receive_one()["Attributes"]["ApproximateReceiveCount"] == "2"


def test_a_message_can_be_shown_at_once(queue: Queue) -> None:
    """ "Amazon SQS visibility timeout", Developer Guide: terminating the visibility timeout."""
    queue.send("first")
    queue.hide(queue.receive_one(), 0)

    assert queue.bodies() == ["first"]


def test_a_message_can_be_hidden_longer(target: Target, queue: Queue) -> None:
    """ChangeMessageVisibility, API Reference."""
    queue.send("first")
    queue.hide(queue.receive_one(hidden_for=target.short), 600)
    target.advance(target.short + 0.2)

    assert queue.receive() == []


def test_a_message_hidden_longer_keeps_its_handle(target: Target, queue: Queue) -> None:
    """ChangeMessageVisibility, API Reference."""
    queue.send("first")
    message = queue.receive_one(hidden_for=target.short)
    queue.hide(message, 600)
    target.advance(target.short + 0.2)

    queue.delete(message)

    assert queue.counts() == (0, 0, 0) or target.is_amazon


def test_a_message_can_be_hidden_for_less_counted_from_now(target: Target, queue: Queue) -> None:
    """ChangeMessageVisibility, API Reference: "count from the time that you make the call"."""
    queue.send("first")
    queue.hide(queue.receive_one(hidden_for=600), target.short)
    assert queue.receive() == [] or target.is_amazon
    target.advance(target.short + 0.2)

    assert queue.bodies() == ["first"]


def test_a_change_holds_for_this_receive_only(target: Target) -> None:
    """ChangeMessageVisibility, API Reference: "reverts to the original timeout value"."""
    queue = target.queue(VisibilityTimeout=str(target.short))
    queue.send("first")
    message = queue.receive_one()
    queue.hide(message, 600)
    queue.hide(message, 0)
    queue.receive_one()
    target.advance(target.short + 0.2)

    assert queue.bodies() == ["first"]


@pytest.mark.parametrize("seconds", [-1, TWELVE_HOURS + 1])
def test_a_change_is_at_most_twelve_hours(queue: Queue, seconds: int) -> None:
    """ChangeMessageVisibility, API Reference: from 0 to 43200."""
    queue.send("first")
    message = queue.receive_one()

    with refused("InvalidParameterValue"):
        queue.hide(message, seconds)


def test_twelve_hours_are_counted_from_the_receive(target: Target, queue: Queue) -> None:
    """ChangeMessageVisibility, API Reference: "to a value greater than the maximum time left"."""
    queue.send("first")
    message = queue.receive_one(hidden_for=30)
    target.advance(1.1)

    with refused("InvalidParameterValue"):
        queue.hide(message, TWELVE_HOURS)
    queue.hide(message, TWELVE_HOURS - 60)


def test_a_message_that_is_not_in_flight_cannot_be_hidden(queue: Queue) -> None:
    """ChangeMessageVisibility, API Reference: MessageNotInflight."""
    queue.send("first")
    message = queue.receive_one()
    queue.hide(message, 0)

    with refused(NOT_IN_FLIGHT):
        queue.hide(message, 30)


def test_an_expired_handle_cannot_hide(target: Target, queue: Queue) -> None:
    """ChangeMessageVisibility, API Reference: "might result in an error"."""
    queue.send("first")
    message = queue.receive_one(hidden_for=1)
    target.advance(1.2)

    with refused(*REFUSED):
        queue.hide(message, 30)


def test_an_expired_handle_cannot_delete(target: Target, queue: Queue) -> None:
    """ReceiveMessage, API Reference: "the action fails with an error"; "ReceiptHandleIsInvalid or
    InvalidParameterValue error", AWS Knowledge Center: "The receipt handle has expired"."""
    queue.send("first")
    message = queue.receive_one(hidden_for=1)
    target.advance(1.2)

    with refused("InvalidParameterValue"):
        queue.delete(message)
    assert queue.bodies() == ["first"]


def test_a_handle_cannot_delete_after_the_message_was_put_back(queue: Queue) -> None:
    """ "ReceiptHandleIsInvalid or InvalidParameterValue error", AWS Knowledge Center."""
    queue.send("first")
    message = queue.receive_one()
    queue.hide(message, 0)

    with refused("InvalidParameterValue"):
        queue.delete(message)
    assert queue.bodies() == ["first"]


def test_an_older_handle_cannot_delete(queue: Queue) -> None:
    """DeleteMessage, API Reference: "from the most recent time you received the message";
    "ReceiptHandleIsInvalid or InvalidParameterValue error", AWS Knowledge Center."""
    queue.send("first")
    older = queue.receive_one()
    queue.hide(older, 0)
    newer = queue.receive_one()

    with refused("InvalidParameterValue"):
        queue.delete(older)
    queue.hide(newer, 0)
    assert queue.bodies() == ["first"]


def test_an_older_handle_cannot_hide(queue: Queue) -> None:
    """ChangeMessageVisibility, API Reference."""
    queue.send("first")
    older = queue.receive_one()
    queue.hide(older, 0)
    newer = queue.receive_one()

    with refused(*REFUSED):
        queue.hide(older, 0)
    assert queue.receive() == []
    queue.delete(newer)


def test_a_message_can_be_deleted_twice(queue: Queue) -> None:
    """DeleteMessage, API Reference ("idempotent": "Amazon SQS at-least-once delivery")."""
    queue.send("first")
    message = queue.receive_one()

    queue.delete(message)
    queue.delete(message)

    assert queue.receive() == []


def test_a_deleted_message_cannot_be_hidden(queue: Queue) -> None:
    """ChangeMessageVisibility, API Reference."""
    queue.send("first")
    message = queue.receive_one()
    queue.delete(message)

    with refused(*REFUSED):
        queue.hide(message, 0)
    assert queue.receive() == []


def test_an_invented_handle_cannot_delete(queue: Queue) -> None:
    """DeleteMessage, API Reference: ReceiptHandleIsInvalid."""
    with refused("ReceiptHandleIsInvalid"):
        queue.client.delete_message(QueueUrl=queue.url, ReceiptHandle="invented")


def test_an_invented_handle_cannot_hide(queue: Queue) -> None:
    """ChangeMessageVisibility, API Reference: ReceiptHandleIsInvalid."""
    with refused("ReceiptHandleIsInvalid"):
        queue.client.change_message_visibility(
            QueueUrl=queue.url, ReceiptHandle="invented", VisibilityTimeout=0
        )


def test_a_handle_of_another_queue_cannot_delete(target: Target, queue: Queue) -> None:
    """ "Amazon SQS queue and message identifiers", Developer Guide: receipt handle."""
    other = target.queue()
    queue.send("first")
    message = queue.receive_one()

    with refused("ReceiptHandleIsInvalid", "InvalidParameterValue"):
        other.delete(message)
    queue.hide(message, 0)
    assert queue.bodies() == ["first"]
