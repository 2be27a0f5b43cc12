"""Up to ten at once, each entry with an answer of its own."""

from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.conformance.targets import Queue, refused

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import SendMessageBatchResultTypeDef

Action = Literal["send", "delete", "change visibility"]
ACTIONS: tuple[Action, ...] = ("send", "delete", "change visibility")


def entry(id_: str, **more: Any) -> dict[str, Any]:
    return {
        "Id": id_,
        "MessageBody": f"body of {id_}",
        "MessageGroupId": "group",
        "MessageDeduplicationId": id_,
        **more,
    }


def send(queue: Queue, *entries: dict[str, Any]) -> "SendMessageBatchResultTypeDef":
    return queue.client.send_message_batch(
        QueueUrl=queue.url,
        Entries=entries,  # type: ignore[arg-type] # as a user would write it
    )


def act(queue: Queue, action: Action, ids: list[str]) -> None:
    """Any of the three, of which only the ids matter."""
    if action == "send":
        send(queue, *(entry(id_) for id_ in ids))
    elif action == "delete":
        queue.client.delete_message_batch(
            QueueUrl=queue.url, Entries=[{"Id": id_, "ReceiptHandle": "none"} for id_ in ids]
        )
    else:
        queue.client.change_message_visibility_batch(
            QueueUrl=queue.url,
            Entries=[{"Id": id_, "ReceiptHandle": "none", "VisibilityTimeout": 0} for id_ in ids],
        )


def test_each_entry_that_was_sent_is_told(queue: Queue) -> None:
    """SendMessageBatch, API Reference: SendMessageBatchResultEntry."""
    reply = send(queue, entry("one"), entry("two"))

    assert [told["Id"] for told in reply["Successful"]] == ["one", "two"]
    assert len({told["MessageId"] for told in reply["Successful"]}) == 2
    assert not reply.get("Failed")


def test_the_message_ids_told_are_those_received(queue: Queue) -> None:
    """SendMessageBatch, API Reference: SendMessageBatchResultEntry."""
    reply = send(queue, entry("one"), entry("two"))

    sent = [told["MessageId"] for told in reply["Successful"]]
    assert [message["MessageId"] for message in queue.receive(10)] == sent


def test_each_entry_that_was_sent_has_a_rising_sequence_number(queue: Queue) -> None:
    """SendMessageBatch, API Reference: SendMessageBatchResultEntry, SequenceNumber."""
    reply = send(queue, *(entry(f"entry-{number}") for number in range(10)))

    numbers = [int(told["SequenceNumber"]) for told in reply["Successful"]]
    assert numbers == sorted(set(numbers))


def test_a_bad_entry_does_not_fail_the_others(queue: Queue) -> None:
    """SendMessageBatch, API Reference: "a combination of successful and unsuccessful actions"."""
    reply = send(queue, entry("one"), entry("two", MessageBody="\x0b"), entry("three"))

    assert [told["Id"] for told in reply["Successful"]] == ["one", "three"]
    assert [told["Id"] for told in reply["Failed"]] == ["two"]
    assert queue.bodies() == ["body of one", "body of three"]


def test_a_bad_entry_is_told_with_its_reason(queue: Queue) -> None:
    """SendMessageBatch, API Reference: BatchResultErrorEntry."""
    reply = send(queue, entry("one"), entry("two", MessageBody="\x0b"))

    (failed,) = reply["Failed"]
    assert failed["Id"] == "two"
    assert failed["Code"] == "InvalidMessageContents"
    assert failed["SenderFault"] is True


def test_an_entry_without_a_group_fails_the_whole_batch(queue: Queue) -> None:
    """ "FIFO queue delivery logic in Amazon SQS", Developer Guide: "the action fails"."""
    nameless = entry("two")
    del nameless["MessageGroupId"]

    with refused("InvalidParameterValue", "MissingParameter"):
        send(queue, entry("one"), nameless)
    assert queue.receive() == []


def test_an_entry_without_an_id_fails_the_whole_batch(queue: Queue) -> None:
    """SendMessage, API Reference: MessageDeduplicationId, "the action fails with an error"."""
    nameless = entry("two")
    del nameless["MessageDeduplicationId"]

    with refused("InvalidParameterValue"):
        send(queue, entry("one"), nameless)
    assert queue.receive() == []


def test_messages_are_deleted_in_a_batch(queue: Queue) -> None:
    """DeleteMessageBatch, API Reference."""
    send(queue, entry("one"), entry("two"), entry("three"))
    one, two = queue.receive(2)

    reply = queue.client.delete_message_batch(
        QueueUrl=queue.url,
        Entries=[
            {"Id": "a", "ReceiptHandle": one["ReceiptHandle"]},
            {"Id": "b", "ReceiptHandle": two["ReceiptHandle"]},
        ],
    )

    assert [told["Id"] for told in reply["Successful"]] == ["a", "b"]
    assert not reply.get("Failed")
    assert queue.bodies() == ["body of three"]


def test_a_handle_that_cannot_delete_does_not_fail_the_others(queue: Queue) -> None:
    """DeleteMessageBatch, API Reference: "reported individually in the response"."""
    send(queue, entry("one"))
    message = queue.receive_one()

    reply = queue.client.delete_message_batch(
        QueueUrl=queue.url,
        Entries=[
            {"Id": "bad", "ReceiptHandle": "invented"},
            {"Id": "good", "ReceiptHandle": message["ReceiptHandle"]},
        ],
    )

    assert [told["Id"] for told in reply["Successful"]] == ["good"]
    (failed,) = reply["Failed"]
    assert (failed["Id"], failed["Code"]) == ("bad", "ReceiptHandleIsInvalid")
    assert failed["SenderFault"] is True


def test_an_older_handle_fails_alone_in_a_batch_of_deletes(queue: Queue) -> None:
    """DeleteMessageBatch, API Reference; "ReceiptHandleIsInvalid or InvalidParameterValue error",
    AWS Knowledge Center."""
    send(queue, entry("one", MessageGroupId="a"), entry("two", MessageGroupId="b"))
    older = queue.receive_one()
    queue.hide(older, 0)
    newer = {message["Body"]: message for message in queue.receive(10)}
    other = next(message for body, message in newer.items() if body != older["Body"])

    reply = queue.client.delete_message_batch(
        QueueUrl=queue.url,
        Entries=[
            {"Id": "older", "ReceiptHandle": older["ReceiptHandle"]},
            {"Id": "other", "ReceiptHandle": other["ReceiptHandle"]},
        ],
    )

    assert [told["Id"] for told in reply["Successful"]] == ["other"]
    (failed,) = reply["Failed"]
    assert (failed["Id"], failed["Code"]) == ("older", "InvalidParameterValue")


def test_messages_are_put_back_in_a_batch(queue: Queue) -> None:
    """ChangeMessageVisibilityBatch, API Reference."""
    send(queue, entry("one"), entry("two"))

    reply = queue.client.change_message_visibility_batch(
        QueueUrl=queue.url,
        Entries=[
            {
                "Id": str(place),
                "ReceiptHandle": message["ReceiptHandle"],
                "VisibilityTimeout": 0,
            }
            for place, message in enumerate(queue.receive(2))
        ],
    )

    assert [told["Id"] for told in reply["Successful"]] == ["0", "1"]
    assert queue.bodies() == ["body of one", "body of two"]


def test_a_handle_that_cannot_hide_does_not_fail_the_others(queue: Queue) -> None:
    """ChangeMessageVisibilityBatch, API Reference: "reported individually in the response"."""
    send(queue, entry("one"))
    message = queue.receive_one()

    reply = queue.client.change_message_visibility_batch(
        QueueUrl=queue.url,
        Entries=[
            {"Id": "bad", "ReceiptHandle": "invented", "VisibilityTimeout": 0},
            {"Id": "good", "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0},
        ],
    )

    assert [told["Id"] for told in reply["Successful"]] == ["good"]
    (failed,) = reply["Failed"]
    assert (failed["Id"], failed["Code"]) == ("bad", "ReceiptHandleIsInvalid")
    assert queue.bodies() == ["body of one"]


@pytest.mark.parametrize("action", ACTIONS)
def test_a_batch_without_entries_is_refused(queue: Queue, action: Action) -> None:
    """SendMessageBatch, DeleteMessageBatch, ChangeMessageVisibilityBatch, API Reference:
    EmptyBatchRequest."""
    with refused("AWS.SimpleQueueService.EmptyBatchRequest"):
        act(queue, action, [])


@pytest.mark.parametrize("action", ACTIONS)
def test_a_batch_of_more_than_ten_is_refused(queue: Queue, action: Action) -> None:
    """SendMessageBatch, DeleteMessageBatch, ChangeMessageVisibilityBatch, API Reference:
    TooManyEntriesInBatchRequest."""
    with refused("AWS.SimpleQueueService.TooManyEntriesInBatchRequest"):
        act(queue, action, [f"entry-{number}" for number in range(11)])


@pytest.mark.parametrize("action", ACTIONS)
def test_a_batch_that_repeats_an_id_is_refused(queue: Queue, action: Action) -> None:
    """SendMessageBatch, DeleteMessageBatch, ChangeMessageVisibilityBatch, API Reference:
    BatchEntryIdsNotDistinct."""
    with refused("AWS.SimpleQueueService.BatchEntryIdsNotDistinct"):
        act(queue, action, ["one", "two", "one"])


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("id_", ["with.dot", "x" * 81, ""], ids=["dot", "long", "empty"])
def test_a_batch_with_a_malformed_id_is_refused(queue: Queue, action: Action, id_: str) -> None:
    """ "Amazon SQS message quotas", Developer Guide: batched message ID; SendMessageBatch,
    DeleteMessageBatch, ChangeMessageVisibilityBatch, API Reference: InvalidBatchEntryId."""
    with refused("AWS.SimpleQueueService.InvalidBatchEntryId"):
        act(queue, action, ["one", id_])


def test_an_id_of_eighty_letters_digits_hyphens_and_underscores_is_taken(queue: Queue) -> None:
    """ "Amazon SQS message quotas", Developer Guide: batched message ID."""
    id_ = "aZ0-_" * 16

    reply = send(queue, entry(id_))

    assert [told["Id"] for told in reply["Successful"]] == [id_]


def test_a_batch_larger_than_one_message_may_be_is_refused(queue: Queue) -> None:
    """SendMessageBatch, API Reference: BatchRequestTooLong, 1,048,576 bytes in all."""
    body = "x" * (1_048_576 // 10 + 1)

    with refused("AWS.SimpleQueueService.BatchRequestTooLong"):
        send(queue, *(entry(f"entry-{number}", MessageBody=body) for number in range(10)))
    assert queue.receive() == []


def test_a_batch_just_as_large_as_one_message_may_be_is_taken(queue: Queue) -> None:
    """SendMessageBatch, API Reference: 1,048,576 bytes in all."""
    body = "x" * (1_048_576 // 8)

    reply = send(queue, *(entry(f"entry-{number}", MessageBody=body) for number in range(8)))

    assert len(reply["Successful"]) == 8


def test_a_refused_batch_sends_nothing(queue: Queue) -> None:
    """SendMessageBatch, API Reference: BatchEntryIdsNotDistinct."""
    with refused("AWS.SimpleQueueService.BatchEntryIdsNotDistinct"):
        send(queue, entry("one"), entry("one"))

    assert queue.receive() == []
