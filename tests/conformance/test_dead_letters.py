"""Where messages go that nobody deletes, and how they come back."""

import json
import threading
import time

import pytest

from tests.conformance.targets import NO_SUCH_QUEUE, Queue, Target, refused

# CreateQueue documents InvalidAttributeValue; Amazon answers the other.
REFUSED = ("InvalidParameterValue", "InvalidAttributeValue", NO_SUCH_QUEUE)


def receive_and_put_back(queue: Queue, times: int) -> None:
    for _ in range(times):
        queue.hide(queue.receive_one(), 0)


def policy(arn: str, receives: int) -> str:
    return json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": receives})


def test_a_message_is_received_as_often_as_the_policy_says_and_then_moved(target: Target) -> None:
    """ "Using dead-letter queues in Amazon SQS", Developer Guide: "When the ReceiveCount for a
    message exceeds the maxReceiveCount"."""
    queue, dead_letters = target.queue_with_dead_letters(receives=2)
    queue.send("first")
    receive_and_put_back(queue, 2)
    assert dead_letters.receive() == []

    assert queue.receive() == []

    assert dead_letters.bodies() == ["first"]


def test_a_message_that_expires_is_moved_too(target: Target) -> None:
    """ReceiveMessage, API Reference: an expiry "counts as a failed receive"."""
    queue, dead_letters = target.queue_with_dead_letters(receives=1)
    queue.send("first")
    queue.receive_one(hidden_for=1)
    target.advance(1.2)

    assert queue.receive() == []

    assert dead_letters.bodies() == ["first"]


def test_a_message_in_flight_for_the_last_time_is_not_moved(target: Target) -> None:
    """ "Using dead-letter queues in Amazon SQS", Developer Guide."""
    queue, dead_letters = target.queue_with_dead_letters(receives=1)
    queue.send("first")
    message = queue.receive_one()

    queue.receive()

    assert dead_letters.receive() == []
    queue.delete(message)


def test_a_dead_letter_keeps_its_group_its_attributes_and_its_message_id(target: Target) -> None:
    """ "Using dead-letter queues in Amazon SQS", Developer Guide."""
    queue, dead_letters = target.queue_with_dead_letters(receives=1)
    attributes = {"name": {"DataType": "String", "StringValue": "value"}}
    sent = queue.send("first", "a", id_="one", MessageAttributes=attributes)
    receive_and_put_back(queue, 1)
    queue.receive()

    dead = dead_letters.receive_one(MessageAttributeNames=["All"])

    assert dead["MessageId"] == sent["MessageId"]
    assert dead["Attributes"]["MessageGroupId"] == "a"
    assert dead["MessageAttributes"] == attributes


def test_the_deduplication_id_of_a_dead_letter_is_its_message_id(target: Target) -> None:
    """ "Learn how to configure a dead-letter queue redrive in Amazon SQS", Developer Guide: "will
    be replaced with the original message's ID"."""
    queue, dead_letters = target.queue_with_dead_letters(receives=1)
    sent = queue.send("first", id_="one")
    receive_and_put_back(queue, 1)
    queue.receive()

    told = dead_letters.receive_one()["Attributes"]

    assert told["MessageDeduplicationId"] == sent["MessageId"]


def test_two_messages_that_shared_an_id_are_both_dead_letters(target: Target) -> None:
    """ "Learn how to configure a dead-letter queue redrive in Amazon SQS", Developer Guide."""
    queue, dead_letters = target.queue_with_dead_letters(receives=1)
    queue.send("first", "a", id_="one")
    target.advance(301)
    queue.send("second", "b", id_="one")
    receive_and_put_back(queue, 2)
    queue.receive(10)

    assert sorted(dead_letters.bodies()) == ["first", "second"]


def test_a_dead_letter_counts_its_receives_on(target: Target) -> None:
    """ReceiveMessage, API Reference: ApproximateReceiveCount, "across all queues"."""
    queue, dead_letters = target.queue_with_dead_letters(receives=2)
    queue.send("first")
    receive_and_put_back(queue, 2)
    queue.receive()

    assert dead_letters.receive_one()["Attributes"]["ApproximateReceiveCount"] == "3"


def test_the_group_goes_on_without_the_dead_letter(target: Target) -> None:
    """ "Using dead-letter queues in Amazon SQS", Developer Guide: "break the exact order"."""
    queue, dead_letters = target.queue_with_dead_letters(receives=1)
    queue.send("poison")
    queue.send("second")
    queue.send("third")
    receive_and_put_back(queue, 1)

    # Whether the receive that moves the one already brings the other is not documented.
    received = queue.bodies() or queue.bodies()

    assert received == ["second", "third"]
    assert dead_letters.bodies() == ["poison"]


def test_dead_letters_of_a_group_stay_in_order(target: Target) -> None:
    """ "Using dead-letter queues in Amazon SQS", Developer Guide; "FIFO queue delivery logic"."""
    queue, dead_letters = target.queue_with_dead_letters(receives=1)
    for number in range(3):
        queue.send(str(number))
    for message in queue.receive(3):
        queue.hide(message, 0)
    queue.receive(10)

    assert dead_letters.bodies() == ["0", "1", "2"]


def test_a_long_poll_ends_as_soon_as_a_dead_letter_comes(target: Target) -> None:
    """ "Amazon SQS short and long polling", Developer Guide."""
    queue, dead_letters = target.queue_with_dead_letters(receives=1)
    queue.send("first")
    receive_and_put_back(queue, 1)
    moving = threading.Timer(0.5, queue.receive)
    moving.start()
    started = time.monotonic()

    received = dead_letters.bodies(WaitTimeSeconds=10)

    moving.join()
    assert received == ["first"]
    assert time.monotonic() - started < 9


def test_retention_of_a_dead_letter_starts_with_its_move(target: Target) -> None:
    """ "Setting-up dead-letter queue retention in Amazon SQS", Developer Guide: "For FIFO queues,
    the enqueue timestamp resets"."""
    queue, dead_letters = target.queue_with_dead_letters(
        receives=1, of_the_dead={"MessageRetentionPeriod": "60"}
    )
    queue.send("first")
    target.advance(100)
    receive_and_put_back(queue, 1)
    queue.receive()

    target.advance(50)
    assert dead_letters.bodies(hidden_for=0) == ["first"]
    target.advance(11)
    assert dead_letters.receive() == []


def test_the_dead_letter_queue_of_a_fifo_queue_is_one_too(target: Target, queue: Queue) -> None:
    """ "Using dead-letter queues in Amazon SQS", Developer Guide: "must also be a FIFO queue"."""
    if target.has_standard_queues:
        standard = target.create(target.new_name().removesuffix(".fifo"))
        arn = Queue(target.client, standard).arn
    else:
        arn = queue.arn.removesuffix(".fifo")

    with refused(*REFUSED):
        queue.set(RedrivePolicy=policy(arn, 5))


@pytest.mark.parametrize("receives", [0, 1001])
def test_a_policy_allows_one_to_a_thousand_receives(
    target: Target, queue: Queue, receives: int
) -> None:
    """ "Configure a dead-letter queue using the Amazon SQS console", Developer Guide: valid range
    of maximum receives."""
    dead_letters = target.queue()

    with refused(*REFUSED):
        queue.set(RedrivePolicy=policy(dead_letters.arn, receives))


def test_the_dead_letter_queue_has_to_exist(queue: Queue) -> None:
    """ "Using dead-letter queues in Amazon SQS", Developer Guide."""
    with refused(*REFUSED):
        queue.set(RedrivePolicy=policy(queue.arn.replace(".fifo", "-none.fifo"), 5))


@pytest.mark.parametrize("text", ["not JSON", "{}", '{"maxReceiveCount": 3}'])
def test_a_malformed_policy_is_refused(queue: Queue, text: str) -> None:
    """SetQueueAttributes, API Reference: RedrivePolicy, InvalidAttributeValue."""
    with refused(*REFUSED):
        queue.set(RedrivePolicy=text)


def test_a_policy_may_be_set_later(target: Target, queue: Queue) -> None:
    """SetQueueAttributes, API Reference: RedrivePolicy."""
    if target.is_amazon:
        pytest.skip("takes up to 60 s to hold everywhere")
    dead_letters = target.queue()
    queue.send("first")
    receive_and_put_back(queue, 3)

    queue.set(RedrivePolicy=policy(dead_letters.arn, 3))
    assert queue.receive() == []

    assert dead_letters.bodies() == ["first"]


def test_the_sources_of_a_dead_letter_queue_are_listed(target: Target) -> None:
    """ListDeadLetterSourceQueues, API Reference."""
    queue, dead_letters = target.queue_with_dead_letters(receives=1)

    def sources() -> list[str]:
        return target.client.list_dead_letter_source_queues(QueueUrl=dead_letters.url)["queueUrls"]

    assert target.eventually(lambda: sources() == [queue.url])


def bring_back(target: Target, queue: Queue, dead_letters: Queue, bodies: list[str]) -> None:
    for body in bodies:
        queue.send(body)
    for message in queue.receive(10):
        queue.hide(message, 0)
    queue.receive(10)
    target.client.start_message_move_task(SourceArn=dead_letters.arn)


def test_dead_letters_can_be_brought_back_in_order(target: Target) -> None:
    """StartMessageMoveTask, API Reference; "Learn how to configure a dead-letter queue redrive in
    Amazon SQS", Developer Guide: "in the order they are received"."""
    queue, dead_letters = target.queue_with_dead_letters(receives=1)

    bring_back(target, queue, dead_letters, ["0", "1", "2"])

    assert target.eventually(lambda: queue.counts()[0] == 3)
    assert queue.bodies() == ["0", "1", "2"]
    assert dead_letters.receive() == []


def test_a_message_brought_back_is_a_new_one(target: Target) -> None:
    """ "Learn how to configure a dead-letter queue redrive in Amazon SQS", Developer Guide: "a new
    messageID and enqueueTime"."""
    queue, dead_letters = target.queue_with_dead_letters(receives=1)
    sent = queue.send("first", "a")
    receive_and_put_back(queue, 1)
    queue.receive()

    target.client.start_message_move_task(SourceArn=dead_letters.arn)

    assert target.eventually(lambda: queue.counts()[0] == 1)
    message = queue.receive_one()
    assert message["Body"] == "first"
    assert message["MessageId"] != sent["MessageId"]
    assert message["Attributes"]["MessageGroupId"] == "a"


def test_dead_letters_can_be_brought_elsewhere(target: Target) -> None:
    """StartMessageMoveTask, API Reference: DestinationArn."""
    queue, dead_letters = target.queue_with_dead_letters(receives=1)
    elsewhere = target.queue()
    queue.send("first")
    receive_and_put_back(queue, 1)
    queue.receive()

    target.client.start_message_move_task(SourceArn=dead_letters.arn, DestinationArn=elsewhere.arn)

    assert target.eventually(lambda: elsewhere.counts()[0] == 1)
    assert elsewhere.bodies() == ["first"]


def test_only_a_dead_letter_queue_can_be_brought_back(target: Target, queue: Queue) -> None:
    """StartMessageMoveTask, API Reference: "only ARNs of dead-letter queues"."""
    with refused("InvalidParameterValue"):
        target.client.start_message_move_task(SourceArn=queue.arn)


def test_a_queue_that_does_not_exist_cannot_be_brought_back(target: Target, queue: Queue) -> None:
    """StartMessageMoveTask, API Reference: ResourceNotFoundException."""
    with refused("ResourceNotFoundException"):
        target.client.start_message_move_task(SourceArn=queue.arn.replace(".fifo", "-none.fifo"))
