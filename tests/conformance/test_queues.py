"""Making queues, describing them, emptying them."""

import pytest

from tests.conformance.targets import NO_SUCH_QUEUE, Queue, Target, refused

PURGING = "AWS.SimpleQueueService.PurgeQueueInProgress"


def test_a_fifo_queue_is_named_as_one(target: Target) -> None:
    """CreateQueue, API Reference: "A FIFO queue name must end with the .fifo suffix"."""
    with refused("InvalidParameterValue"):
        target.create(target.new_name().removesuffix(".fifo"), FifoQueue="true")


def test_a_queue_named_as_one_is_a_fifo_queue(target: Target) -> None:
    """CreateQueue, API Reference: QueueName, FifoQueue."""
    with refused("InvalidParameterValue"):
        target.create(target.new_name())


@pytest.mark.parametrize(
    "name", ["x" * 76 + ".fifo", "with space.fifo", "dot.dot.fifo"], ids=["long", "space", "dot"]
)
def test_a_name_has_at_most_eighty_letters_digits_hyphens_and_underscores(
    target: Target, name: str
) -> None:
    """CreateQueue, API Reference: QueueName; the suffix counts ("Amazon SQS queue quotas")."""
    with refused("InvalidParameterValue"):
        target.create(name, FifoQueue="true")


def test_a_queue_is_found_by_its_name(target: Target) -> None:
    """GetQueueUrl, API Reference."""
    name = target.new_name()
    url = target.create(name, FifoQueue="true")

    assert target.client.get_queue_url(QueueName=name)["QueueUrl"] == url


def test_a_name_that_no_queue_has_is_refused(target: Target) -> None:
    """GetQueueUrl, API Reference: QueueDoesNotExist ("Common Errors": the older code)."""
    with refused(NO_SUCH_QUEUE):
        target.client.get_queue_url(QueueName=target.new_name())


def test_clients_know_the_missing_queue_by_its_exception(target: Target) -> None:
    """GetQueueUrl, API Reference: QueueDoesNotExist."""
    with pytest.raises(target.client.exceptions.QueueDoesNotExist):
        target.client.get_queue_url(QueueName=target.new_name())


def test_nothing_can_be_sent_to_a_queue_that_does_not_exist(queue: Queue) -> None:
    """SendMessage, API Reference: QueueDoesNotExist."""
    missing = Queue(queue.client, queue.url.replace(".fifo", "-none.fifo"))

    with refused(NO_SUCH_QUEUE):
        missing.send("first")


def test_nothing_can_be_received_from_a_queue_that_does_not_exist(queue: Queue) -> None:
    """ReceiveMessage, API Reference: QueueDoesNotExist."""
    missing = Queue(queue.client, queue.url.replace(".fifo", "-none.fifo"))

    with refused(NO_SUCH_QUEUE):
        missing.receive()


def test_a_deleted_queue_does_not_exist(target: Target, queue: Queue) -> None:
    """DeleteQueue, API Reference: takes up to 60 seconds."""
    queue.send("first")
    target.client.delete_queue(QueueUrl=queue.url)
    if target.is_amazon:
        pytest.skip("takes up to 60 s to hold everywhere")

    with refused(NO_SUCH_QUEUE):
        queue.receive()


def test_a_queue_can_be_created_again_with_the_same_attributes(target: Target) -> None:
    """CreateQueue, API Reference: "will return the URL of the existing queue"."""
    name = target.new_name()
    first = target.create(name, FifoQueue="true", VisibilityTimeout="7")
    second = target.create(name, FifoQueue="true", VisibilityTimeout="7")

    assert second == first


def test_a_queue_cannot_be_created_again_with_others(target: Target) -> None:
    """CreateQueue, API Reference: QueueNameExists, in the older protocol QueueAlreadyExists."""
    name = target.new_name()
    target.create(name, FifoQueue="true", VisibilityTimeout="7")

    with refused("QueueAlreadyExists"):
        target.create(name, FifoQueue="true", VisibilityTimeout="8")


def test_clients_know_the_existing_queue_by_its_exception(target: Target) -> None:
    """CreateQueue, API Reference: QueueNameExists."""
    name = target.new_name()
    target.create(name, FifoQueue="true", ContentBasedDeduplication="true")

    with pytest.raises(target.client.exceptions.QueueNameExists):
        target.create(name, FifoQueue="true", ContentBasedDeduplication="false")


def test_queues_are_listed_by_the_beginning_of_their_names(target: Target) -> None:
    """ListQueues, API Reference: QueueNamePrefix."""
    prefix = target.new_name().removesuffix(".fifo")
    urls = [target.create(target.new_name(prefix), FifoQueue="true") for _ in range(2)]
    target.queue()

    def listed() -> list[str]:
        return sorted(target.client.list_queues(QueueNamePrefix=prefix).get("QueueUrls", []))

    assert target.eventually(lambda: listed() == sorted(urls))


def test_a_prefix_that_no_name_has_lists_nothing(target: Target) -> None:
    """ListQueues, API Reference: QueueNamePrefix."""
    assert not target.client.list_queues(QueueNamePrefix=target.new_name()).get("QueueUrls")


@pytest.mark.parametrize(
    ("name", "value"),
    {
        "VisibilityTimeout": "30",
        "DelaySeconds": "0",
        "ReceiveMessageWaitTimeSeconds": "0",
        "MessageRetentionPeriod": "345600",
        "MaximumMessageSize": "1048576",
        "FifoQueue": "true",
        "ContentBasedDeduplication": "false",
        "DeduplicationScope": "queue",
        "FifoThroughputLimit": "perQueue",
    }.items(),
)
def test_a_queue_has_the_documented_defaults(queue: Queue, name: str, value: str) -> None:
    """CreateQueue, API Reference: Attributes."""
    assert queue.attribute(name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VisibilityTimeout", "43201"),
        ("VisibilityTimeout", "-1"),
        ("DelaySeconds", "901"),
        ("ReceiveMessageWaitTimeSeconds", "21"),
        ("MessageRetentionPeriod", "59"),
        ("MessageRetentionPeriod", "1209601"),
        ("MaximumMessageSize", "1023"),
        ("MaximumMessageSize", "1048577"),
        ("ContentBasedDeduplication", "perhaps"),
        ("DeduplicationScope", "account"),
        ("FifoThroughputLimit", "perMessage"),
    ],
)
def test_an_attribute_beyond_its_limits_is_refused(target: Target, name: str, value: str) -> None:
    """CreateQueue, API Reference: Attributes, InvalidAttributeValue."""
    with refused("InvalidAttributeValue", "InvalidParameterValue"):
        target.queue(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VisibilityTimeout", "43200"),
        ("DelaySeconds", "900"),
        ("ReceiveMessageWaitTimeSeconds", "20"),
        ("MessageRetentionPeriod", "60"),
        ("MessageRetentionPeriod", "1209600"),
        ("MaximumMessageSize", "1024"),
    ],
)
def test_an_attribute_at_its_limit_is_taken(target: Target, name: str, value: str) -> None:
    """CreateQueue, API Reference: Attributes."""
    assert target.queue(**{name: value}).attribute(name) == value


def test_an_unknown_attribute_is_refused(target: Target) -> None:
    """CreateQueue, API Reference: InvalidAttributeName."""
    with refused("InvalidAttributeName"):
        target.queue(Colour="red")


def test_an_attribute_can_be_changed(target: Target, queue: Queue) -> None:
    """SetQueueAttributes, API Reference."""
    queue.set(VisibilityTimeout="77")

    assert target.eventually(lambda: queue.attribute("VisibilityTimeout") == "77")


def test_a_value_beyond_its_limits_cannot_be_set(queue: Queue) -> None:
    """SetQueueAttributes, API Reference: InvalidAttributeValue."""
    with refused("InvalidAttributeValue", "InvalidParameterValue"):
        queue.set(VisibilityTimeout="43201")
    assert queue.attribute("VisibilityTimeout") == "30"


def test_the_kind_of_a_queue_cannot_be_changed(queue: Queue) -> None:
    """SetQueueAttributes, API Reference: FifoQueue, "You can't change it for an existing queue"."""
    with refused("InvalidAttributeValue", "InvalidAttributeName"):
        queue.set(FifoQueue="false")


def test_the_arn_names_region_account_and_queue(target: Target) -> None:
    """GetQueueAttributes, API Reference: QueueArn."""
    name = target.new_name()
    queue = Queue(target.client, target.create(name, FifoQueue="true"))

    *beginning, account, told = queue.arn.split(":")

    assert beginning == ["arn", "aws", "sqs", "us-east-1"]
    assert len(account) == 12
    assert told == name


def test_messages_are_counted_by_their_state(target: Target) -> None:
    """GetQueueAttributes, API Reference: ApproximateNumberOfMessages, ...NotVisible."""
    queue = target.queue()
    for number in range(3):
        queue.send("body", str(number))
    queue.receive_one()
    queue.delete(queue.receive_one())

    assert target.eventually(lambda: queue.counts() == (1, 1, 0))


def test_messages_held_back_in_their_group_count_as_visible(target: Target, queue: Queue) -> None:
    """GetQueueAttributes, API Reference: "available for retrieval"; only a received message is in
    flight ("Amazon SQS visibility timeout")."""
    for number in range(3):
        queue.send(str(number))
    queue.receive_one()

    assert target.eventually(lambda: queue.counts() == (2, 1, 0))


def test_a_delayed_message_is_counted_and_not_yet_delivered(target: Target) -> None:
    """ "Amazon SQS delay queues", Developer Guide; GetQueueAttributes: ...Delayed."""
    queue = target.queue(DelaySeconds="5")
    queue.send("first")

    assert target.eventually(lambda: queue.counts() == (0, 0, 1))
    assert queue.receive() == []


def test_a_delayed_message_is_delivered_after_its_delay(target: Target) -> None:
    """ "Amazon SQS delay queues", Developer Guide."""
    queue = target.queue(DelaySeconds="1")
    queue.send("first")
    queue.send("second")
    target.advance(1.2)

    assert queue.bodies() == ["first", "second"]


def test_a_message_is_kept_until_its_retention_ends(target: Target) -> None:
    """ "Amazon SQS message quotas", Developer Guide: message retention."""
    queue = target.queue(MessageRetentionPeriod="60")
    queue.send("first")

    target.advance(55)
    assert queue.bodies(hidden_for=0) == ["first"]

    target.advance(6)
    assert queue.receive() == []
    assert queue.counts() == (0, 0, 0)


def test_a_message_that_is_gone_frees_its_group(target: Target) -> None:
    """ "Amazon SQS message quotas", Developer Guide: message retention."""
    queue = target.queue(MessageRetentionPeriod="60")
    queue.send("first")
    target.advance(30)
    queue.send("second")
    queue.receive_one(hidden_for=600)
    target.advance(31)

    assert queue.bodies() == ["second"]


def test_a_purge_empties_the_queue(target: Target, queue: Queue) -> None:
    """PurgeQueue, API Reference: "including in-flight messages"."""
    for number in range(3):
        queue.send("body", str(number))
    message = queue.receive_one(hidden_for=1)

    target.client.purge_queue(QueueUrl=queue.url)

    assert target.eventually(lambda: queue.counts() == (0, 0, 0))
    target.advance(1.2)
    assert queue.receive() == []
    assert message["Body"] == "body"


def test_a_purged_queue_can_be_used_again(target: Target, queue: Queue) -> None:
    """PurgeQueue, API Reference."""
    if target.is_amazon:
        pytest.skip("what is sent within 60 s of a purge may be lost")
    queue.send("first")
    queue.receive_one()
    target.client.purge_queue(QueueUrl=queue.url)

    queue.send("second")

    assert queue.bodies() == ["second"]


def test_a_second_purge_within_a_minute_is_refused(target: Target, queue: Queue) -> None:
    """PurgeQueue, API Reference: PurgeQueueInProgress."""
    target.client.purge_queue(QueueUrl=queue.url)

    with refused(PURGING):
        target.client.purge_queue(QueueUrl=queue.url)


def test_after_a_minute_a_queue_can_be_purged_again(target: Target, queue: Queue) -> None:
    """PurgeQueue, API Reference: PurgeQueueInProgress, "within the last 60 seconds"."""
    target.client.purge_queue(QueueUrl=queue.url)
    target.advance(61)

    target.client.purge_queue(QueueUrl=queue.url)
