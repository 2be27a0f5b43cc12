import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from checkout.orders.queue.sqs import PaymentsQueue
from tests.deploy.templates import Made, aws, made, new_name, path_of
from tests.deploy.wire import SqsWire


@dataclass(frozen=True)
class Stack:
    outputs: dict[str, str]
    policies: dict[str, set[tuple[str, str]]]  # output → (IAM action, queue name)


@pytest.fixture
def stack(settings: Settings) -> Iterator[Stack]:
    """Made from the template as it is; the product's settings name its queue."""
    name = new_name("payments")
    iam = aws("iam", settings)
    with made_queues(settings, name, path_of("queues").read_text()) as queues:
        settings.PAYMENTS_QUEUE_NAME = queues.outputs["PaymentsQueueName"]
        policies = {
            output: allowed_by(iam, arn)
            for output, arn in queues.outputs.items()
            if output.endswith("PolicyArn")
        }
        yield Stack(queues.outputs, policies)


def made_queues(settings: Settings, name: str, text: str) -> AbstractContextManager[Made]:
    """Under names of their own, as those that one stack exports are no other's."""
    return made(settings, name, text, {"QueueName": name, "ShopName": new_name("t")})


def allowed_by(iam: Any, arn: str) -> set[tuple[str, str]]:
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    reply = iam.get_policy_version(PolicyArn=arn, VersionId=version)
    document = reply["PolicyVersion"]["Document"]
    statements = (json.loads(document) if isinstance(document, str) else document)["Statement"]
    allowed = set()
    for statement in statements:
        assert set(statement) == {"Effect", "Action", "Resource"}
        assert statement["Effect"] == "Allow"
        resources = statement["Resource"]
        for resource in [resources] if isinstance(resources, str) else resources:
            prefix, _, queue = resource.rpartition(":")
            assert prefix.startswith("arn:aws:sqs:us-east-1:"), resource
            allowed |= {(action, queue) for action in statement["Action"]}
    return allowed


@pytest.fixture
def queue(stack: Stack) -> PaymentsQueue:
    """The stack's; in place of the one that `ensure_queues` makes for other tests."""
    return PaymentsQueue.connect()


@pytest.fixture
def wire(stack: Stack, settings: Settings) -> Iterator[Callable[[], SqsWire]]:
    """Makes a wire of its own for each kind of process."""
    wires = []

    def make() -> SqsWire:
        wires.append(SqsWire(settings.AWS_ENDPOINT_URL))
        return wires[-1]

    sqs_url = settings.AWS_ENDPOINT_URL
    yield make
    settings.AWS_ENDPOINT_URL = sqs_url
    for each in wires:
        each.stop()
