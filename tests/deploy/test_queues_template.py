"""Queues made from the template are what the product needs, and its policies are what it uses."""

import signal
from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.queue.setup import dead_letter_problem, dead_letter_queue_name, ensure_queues
from checkout.orders.queue.sqs import PaymentsQueue, sqs_client
from tests.deploy.conftest import Stack, made_queues
from tests.deploy.templates import NO_VALUE, path_of, resources
from tests.deploy.wire import SqsWire
from tests.support.processes import ShopProcesses, eventually
from tests.support.shopper import OverHttp, Shopper
from tests.support.till import Till, assert_each_paid_once


def test_ensure_queues_finds_no_difference(stack: Stack, settings: Settings) -> None:
    reports = ensure_queues()

    assert [(report.name, report.created, report.differences) for report in reports] == [
        (dead_letter_queue_name(), False, []),
        (settings.PAYMENTS_QUEUE_NAME, False, []),
    ]
    assert stack.outputs["DeadLetterQueueName"] == dead_letter_queue_name()
    assert dead_letter_problem(stack.outputs["PaymentsQueueUrl"]) == ""


def test_queues_are_encrypted(stack: Stack) -> None:
    for output in ("PaymentsQueueUrl", "DeadLetterQueueUrl"):
        reply = sqs_client().get_queue_attributes(
            QueueUrl=stack.outputs[output], AttributeNames=["SqsManagedSseEnabled"]
        )
        assert reply["Attributes"]["SqsManagedSseEnabled"] == "true"


# moto makes no policy of a queue from a template, and knows nothing of keys and of who may redrive:
# what is written is all there is.
def test_only_the_payments_queue_puts_dead_letters_away() -> None:
    written = resources("queues")
    [source] = written["DeadLetterQueue"]["RedriveAllowPolicy"]["sourceQueueArns"]

    assert written["DeadLetterQueue"]["RedriveAllowPolicy"]["redrivePermission"] == "byQueue"
    assert source["Fn::Sub"].endswith(":" + written["PaymentsQueue"]["QueueName"]["Fn::Sub"])


@pytest.mark.parametrize("queue", ["PaymentsQueue", "DeadLetterQueue"])
def test_queue_refuses_whoever_asks_without_tls(queue: str) -> None:
    policy = resources("queues")[f"{queue}Policy"]
    [statement] = policy["PolicyDocument"]["Statement"]

    assert policy["Queues"] == [{"Ref": queue}]
    assert statement == {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": {"Fn::GetAtt": [queue, "Arn"]},
        "Condition": {"Bool": {"aws:SecureTransport": False}},
    }


@pytest.mark.parametrize("queue", ["PaymentsQueue", "DeadLetterQueue"])
def test_queue_is_encrypted_by_a_key_of_yours_where_one_is_named(queue: str) -> None:
    written = resources("queues")[queue]

    assert written["SqsManagedSseEnabled"] == {"Fn::If": ["HasKey", False, True]}
    assert written["KmsMasterKeyId"] == {"Fn::If": ["HasKey", {"Ref": "KeyArn"}, NO_VALUE]}


@pytest.mark.parametrize(
    ("policy", "actions"),
    [
        ("PublisherPolicy", ["kms:Decrypt", "kms:GenerateDataKey"]),
        ("WorkerPolicy", ["kms:Decrypt"]),
        ("OperatorPolicy", ["kms:Decrypt"]),
    ],
)
def test_key_is_used_by_whoever_sends_or_receives(policy: str, actions: list[str]) -> None:
    """SQS Developer Guide, "Key management": senders need both, receivers need to decrypt."""
    *_, last = resources("queues")[policy]["PolicyDocument"]["Statement"]

    statement = {"Effect": "Allow", "Action": actions, "Resource": {"Ref": "KeyArn"}}
    assert last == {"Fn::If": ["HasKey", statement, NO_VALUE]}


def of(queue: str, *actions: str) -> set[tuple[str, str]]:
    return {(f"sqs:{action}", queue) for action in actions}


def test_each_process_asks_for_what_its_policy_allows_and_nothing_else(
    stack: Stack,
    queue: PaymentsQueue,
    processes: ShopProcesses,
    till: Till,
    wire: Callable[[], SqsWire],
    shelf: list[Product],
) -> None:
    to_web, to_publisher, to_worker = wire(), wire(), wire()
    mail = {"SHOP_URL": "http://shop.example", "EMAIL_URL": "consolemail://"}
    web = processes.web(AWS_ENDPOINT_URL=to_web.url, **mail)
    mailer = processes.mailer(AWS_ENDPOINT_URL=to_web.url, **mail)
    publisher = processes.publisher(AWS_ENDPOINT_URL=to_publisher.url)
    worker = processes.worker(AWS_ENDPOINT_URL=to_worker.url)
    # What makes a worker put a message back.
    sqs_client().send_message(
        QueueUrl=queue.url, MessageBody="poison", MessageGroupId="p", MessageDeduplicationId="p"
    )

    shopper = Shopper(OverHttp(web.url))
    shopper.add_to_cart("SKU-01")
    shopper.submit(shopper.open_checkout())

    assert_each_paid_once(till)
    put_back = ("sqs:ChangeMessageVisibility", queue.url.rpartition("/")[2])
    eventually(lambda: put_back in to_worker.asked, what="putting back")
    eventually(lambda: processes.has_said(mailer, "We have your order"), what="the mail")
    policy = stack.policies["WorkerPolicyArn"]
    # One of the worker's children looks at the dead letters, in its own time.
    eventually(lambda: to_worker.asked >= policy, what=f"all of {policy}")
    for process in (publisher, worker):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    assert to_web.asked == set()
    assert to_publisher.asked == stack.policies["PublisherPolicyArn"]
    assert to_worker.asked == policy


def test_operator_asks_about_both_queues_for_what_the_policy_allows(
    stack: Stack, transactional_db: None, wire: Callable[[], SqsWire], settings: Settings
) -> None:
    operator = wire()
    settings.AWS_ENDPOINT_URL = operator.url

    call_command("ensure_queues", stdout=StringIO())
    call_command("audit_orders", "--no-gateway", stdout=StringIO())

    both = [settings.PAYMENTS_QUEUE_NAME, dead_letter_queue_name()]
    asking = {pair for name in both for pair in of(name, "GetQueueUrl", "GetQueueAttributes")}
    handling = of(both[1], "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility")
    assert operator.asked == asking
    assert stack.policies["OperatorPolicyArn"] == asking | handling


def test_operator_handles_dead_letters_with_what_the_policy_allows(
    stack: Stack, transactional_db: None, wire: Callable[[], SqsWire], settings: Settings
) -> None:
    operator = wire()
    sent = sqs_client().send_message(
        QueueUrl=stack.outputs["DeadLetterQueueUrl"],
        MessageBody="poison",
        MessageGroupId="p",
        MessageDeduplicationId="p",
    )
    settings.AWS_ENDPOINT_URL = operator.url

    call_command("queue_status", stdout=StringIO())
    call_command("dead_letters", "list", stdout=StringIO())
    discard = ["discard", sent["MessageId"], "--reason=test", "--yes"]
    call_command("dead_letters", *discard, stdout=StringIO())

    allowed = stack.policies["OperatorPolicyArn"]
    handling = of(
        dead_letter_queue_name(), "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"
    )
    assert operator.asked <= allowed
    assert handling <= operator.asked


@pytest.mark.parametrize(
    ("property_", "instead"),
    [
        ("maxReceiveCount: 5", "maxReceiveCount: 4"),
        ("FifoThroughputLimit: perMessageGroupId", "FifoThroughputLimit: perQueue"),
        ("MessageRetentionPeriod: 1209600", "MessageRetentionPeriod: 345600"),
        ("Default: 25", "Default: 30"),
    ],
)
def test_a_template_that_says_something_else_is_noticed(
    settings: Settings, property_: str, instead: str
) -> None:
    name = "differs-" + instead.rpartition(" ")[2]
    text = path_of("queues").read_text()
    assert property_ in text

    with made_queues(settings, name, text.replace(property_, instead)):
        settings.PAYMENTS_QUEUE_NAME = f"{name}.fifo"
        with pytest.raises(CommandError, match="differs"):
            call_command("ensure_queues", stdout=StringIO())
