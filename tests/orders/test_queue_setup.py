"""`ensure_queues` makes the two queues as they must be, and says what differs in those it finds."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from checkout.orders.queue.setup import dead_letter_problem, dead_letter_queue_name, ensure_queues
from checkout.orders.queue.sqs import PaymentsQueue, QueueMissing, sqs_client


def attributes_of(name: str) -> dict[str, str]:
    client = sqs_client()
    url = client.get_queue_url(QueueName=name)["QueueUrl"]
    reply = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return {str(attribute): value for attribute, value in reply["Attributes"].items()}


def test_queues_have_the_attributes_the_product_needs(
    queue: PaymentsQueue, settings: Settings
) -> None:
    payments = attributes_of(settings.PAYMENTS_QUEUE_NAME)
    dead = attributes_of(dead_letter_queue_name())

    for attributes in (payments, dead):
        assert attributes["FifoQueue"] == "true"
        assert attributes["DeduplicationScope"] == "messageGroup"
        assert attributes["FifoThroughputLimit"] == "perMessageGroupId"
        assert attributes["MessageRetentionPeriod"] == "1209600"
    assert payments["VisibilityTimeout"] == "25"
    policy = json.loads(payments["RedrivePolicy"])
    assert policy["deadLetterTargetArn"] == dead["QueueArn"]
    assert int(policy["maxReceiveCount"]) == 5


def test_second_run_finds_nothing_to_do(queue: PaymentsQueue) -> None:
    reports = ensure_queues()

    assert [(report.created, report.differences) for report in reports] == [
        (False, []),
        (False, []),
    ]


def test_command_says_what_differs_and_changes_nothing(
    queue: PaymentsQueue, settings: Settings
) -> None:
    sqs_client().set_queue_attributes(QueueUrl=queue.url, Attributes={"VisibilityTimeout": "7"})
    out = StringIO()

    with pytest.raises(CommandError, match="differs"):
        call_command("ensure_queues", stdout=out)

    assert "VisibilityTimeout is 7, should be 25" in out.getvalue()
    assert attributes_of(settings.PAYMENTS_QUEUE_NAME)["VisibilityTimeout"] == "7"


def test_command_answers_in_json(queue: PaymentsQueue, settings: Settings) -> None:
    out = StringIO()

    call_command("ensure_queues", "--json", stdout=out)

    assert json.loads(out.getvalue())[1] == {
        "name": settings.PAYMENTS_QUEUE_NAME,
        "created": False,
        "differences": [],
    }


def test_missing_queue_is_named_with_what_to_do(settings: Settings) -> None:
    settings.PAYMENTS_QUEUE_NAME = "nobody-made-it.fifo"

    with pytest.raises(QueueMissing, match=r"nobody-made-it\.fifo.*ensure_queues"):
        PaymentsQueue.connect()


def test_sqs_that_does_not_answer_is_said_in_one_line(settings: Settings) -> None:
    settings.AWS_ENDPOINT_URL = "http://127.0.0.1:9"

    with pytest.raises(CommandError, match="SQS does not answer"):
        call_command("ensure_queues")


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        ("", "no dead-letter queue"),
        ('{"deadLetterTargetArn": "%s", "maxReceiveCount": 2}', "maxReceiveCount is below 3"),
    ],
)
def test_worker_does_not_start_on_a_queue_that_keeps_poison(
    db: None, queue: PaymentsQueue, policy: str, problem: str
) -> None:
    arn = attributes_of(dead_letter_queue_name())["QueueArn"]
    policy = policy % arn if policy else policy
    sqs_client().set_queue_attributes(QueueUrl=queue.url, Attributes={"RedrivePolicy": policy})

    with pytest.raises(CommandError, match=problem):
        call_command("run_payment_worker")


def test_queue_as_it_is_made_is_fit_for_a_worker(queue: PaymentsQueue) -> None:
    assert dead_letter_problem(queue.url) == ""
