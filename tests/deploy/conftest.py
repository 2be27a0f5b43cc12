import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from pytest_django.fixtures import Settings

from checkout.orders.queue.sqs import PaymentsQueue
from tests.deploy.wire import SqsWire
from tests.support.processes import ROOT

TEMPLATE = ROOT / "deploy" / "cloudformation.yaml"


def aws(service: str, settings: Settings) -> Any:
    return boto3.client(  # type: ignore[call-overload] # stubs of SQS alone
        service, region_name=settings.AWS_REGION, endpoint_url=settings.AWS_ENDPOINT_URL
    )


@dataclass(frozen=True)
class Stack:
    outputs: dict[str, str]
    policies: dict[str, set[tuple[str, str]]]  # output → (IAM action, queue name)


@contextmanager
def made(settings: Settings, name: str, template: str) -> Iterator[dict[str, str]]:
    """The outputs of a stack that is made from this text."""
    cloudformation = aws("cloudformation", settings)
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=template,
        Parameters=[{"ParameterKey": "QueueName", "ParameterValue": name}],
        Capabilities=["CAPABILITY_IAM"],
    )
    [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack
    yield {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    cloudformation.delete_stack(StackName=name)


@pytest.fixture
def stack(settings: Settings) -> Iterator[Stack]:
    """Made from the template as it is; the product's settings name its queue."""
    name = f"payments-{secrets.token_hex(4)}"
    iam = aws("iam", settings)
    with made(settings, name, TEMPLATE.read_text()) as outputs:
        settings.PAYMENTS_QUEUE_NAME = outputs["PaymentsQueueName"]
        policies = {
            output: allowed_by(iam, arn)
            for output, arn in outputs.items()
            if output.endswith("PolicyArn")
        }
        yield Stack(outputs, policies)


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
    for made in wires:
        made.stop()
