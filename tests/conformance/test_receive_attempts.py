"""A receive whose answer was lost can be asked again."""

from typing import TYPE_CHECKING

import pytest

from tests.conformance.targets import Queue, Target, refused

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

FIVE_MINUTES = 300


def handles(messages: "list[MessageTypeDef]") -> list[tuple[str, str]]:
    return [(message["Body"], message["ReceiptHandle"]) for message in messages]


def test_the_same_attempt_gets_the_same_messages_under_the_same_handles(queue: Queue) -> None:
    """ReceiveMessage, API Reference: ReceiveRequestAttemptId, "return the same messages and
    receipt handles"."""
    for number in range(3):
        queue.send(str(number))
    first = queue.receive(2, ReceiveRequestAttemptId="attempt")

    again = queue.receive(2, ReceiveRequestAttemptId="attempt")

    assert [body for body, _ in handles(first)] == ["0", "1"]
    assert handles(again) == handles(first)


def test_another_attempt_gets_nothing_of_what_is_in_flight(queue: Queue) -> None:
    """ReceiveMessage, API Reference: ReceiveRequestAttemptId."""
    queue.send("first")
    queue.receive_one(ReceiveRequestAttemptId="attempt")

    assert queue.receive(ReceiveRequestAttemptId="another") == []
    assert queue.receive() == []


def test_the_handles_of_a_repeated_attempt_delete(queue: Queue) -> None:
    """ReceiveMessage, API Reference: ReceiveRequestAttemptId."""
    queue.send("first")
    queue.send("second")
    queue.receive_one(ReceiveRequestAttemptId="attempt")

    queue.delete(queue.receive_one(ReceiveRequestAttemptId="attempt"))

    assert queue.bodies() == ["second"]


def test_a_repeated_attempt_hides_anew(target: Target, queue: Queue) -> None:
    """ReceiveMessage, API Reference: "it resets the visibility timeout"."""
    queue.send("first")
    queue.receive_one(hidden_for=target.short, ReceiveRequestAttemptId="attempt")
    target.advance(0.6 * target.short)
    assert queue.receive(hidden_for=target.short, ReceiveRequestAttemptId="attempt")
    target.advance(0.6 * target.short)

    assert queue.receive() == []


def test_an_attempt_cannot_be_repeated_after_a_delete(queue: Queue) -> None:
    """ReceiveMessage, API Reference: "if none of the messages have been modified (deleted or had
    their visibility changes)"."""
    queue.send("first")
    queue.delete(queue.receive_one(ReceiveRequestAttemptId="attempt"))

    assert queue.receive(ReceiveRequestAttemptId="attempt") == []


def test_an_attempt_cannot_be_repeated_after_a_change_of_visibility(queue: Queue) -> None:
    """ReceiveMessage, API Reference: "if none of the messages have been modified (deleted or had
    their visibility changes)"."""
    queue.send("first")
    queue.hide(queue.receive_one(ReceiveRequestAttemptId="attempt"), 600)

    assert queue.receive(ReceiveRequestAttemptId="attempt") == []


def test_after_the_visibility_timeout_an_attempt_is_a_new_receive(
    target: Target, queue: Queue
) -> None:
    """ReceiveMessage, API Reference: "During a visibility timeout"."""
    queue.send("first")
    first = queue.receive_one(hidden_for=1, ReceiveRequestAttemptId="attempt")
    target.advance(1.2)
    second = queue.receive_one(ReceiveRequestAttemptId="attempt")

    assert second["ReceiptHandle"] != first["ReceiptHandle"]
    assert second["Attributes"]["ApproximateReceiveCount"] == "2"


def test_after_five_minutes_an_attempt_cannot_be_repeated(target: Target, queue: Queue) -> None:
    """ReceiveMessage, API Reference: "only for 5 minutes after a ReceiveMessage action"."""
    queue.send("first")
    queue.receive_one(hidden_for=2 * FIVE_MINUTES, ReceiveRequestAttemptId="attempt")
    target.advance(FIVE_MINUTES + 1)

    assert queue.receive(ReceiveRequestAttemptId="attempt") == []


@pytest.mark.parametrize("attempt", ["x" * 129, "with space"], ids=["long", "space"])
def test_an_attempt_has_at_most_128_letters_digits_and_punctuation(
    queue: Queue, attempt: str
) -> None:
    """ReceiveMessage, API Reference: ReceiveRequestAttemptId."""
    with refused("InvalidParameterValue"):
        queue.receive(ReceiveRequestAttemptId=attempt)
