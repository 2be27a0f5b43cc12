"""What the suite runs against: anything that answers as SQS does, over boto3 alone."""

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from config.local.sqs_double.server import QueueServer
from tests.conformance.differences import FAUXQS_VERSION
from tests.doubles.installed_sqs import InstalledSQS, missing, version_of
from tests.support.long import at_length, long

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef, SendMessageResultTypeDef

REGION = "us-east-1"

# How long a test may really wait where no clock can be moved.
PATIENCE_HERE_SECONDS = 3
PATIENCE_ON_AMAZON_SECONDS = 30

NO_SUCH_QUEUE = "AWS.SimpleQueueService.NonExistentQueue"


@contextmanager
def refused(*codes: str) -> Iterator[None]:
    """The call fails with one of these codes, as the older query protocol spells them."""
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] in codes, caught.value.response["Error"]


@dataclass
class Queue:
    """One queue of one test, with the parameters that most tests don't care about filled in."""

    client: "SQSClient"
    url: str
    # A short poll asks only some of Amazon's servers, and may miss what is there.
    wait_seconds: int = 0

    @property
    def arn(self) -> str:
        return self.attribute("QueueArn")

    def attribute(self, name: str) -> str:
        reply = self.client.get_queue_attributes(
            QueueUrl=self.url,
            AttributeNames=[name],  # type: ignore[list-item] # as a user would write it
        )
        return reply["Attributes"][name]  # type: ignore[index] # as a user would write it

    def counts(self) -> tuple[int, int, int]:
        """Visible, in flight, delayed."""
        reply = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])
        told = reply["Attributes"]
        return (
            int(told["ApproximateNumberOfMessages"]),
            int(told["ApproximateNumberOfMessagesNotVisible"]),
            int(told["ApproximateNumberOfMessagesDelayed"]),
        )

    def set(self, **attributes: str) -> None:
        self.client.set_queue_attributes(
            QueueUrl=self.url,
            Attributes=attributes,  # type: ignore[arg-type] # as a user would write it
        )

    def send(
        self, body: str, group: str | None = "group", id_: str | None = "", **more: Any
    ) -> "SendMessageResultTypeDef":
        """Under a deduplication id of its own, unless one is named, or None for none at all."""
        if group is not None:
            more["MessageGroupId"] = group
        if id_ is not None:
            more["MessageDeduplicationId"] = id_ or secrets.token_hex(8)
        return self.client.send_message(QueueUrl=self.url, MessageBody=body, **more)

    def receive(
        self, at_most: int = 1, *, hidden_for: int | None = None, **more: Any
    ) -> list["MessageTypeDef"]:
        if hidden_for is not None:
            more["VisibilityTimeout"] = hidden_for
        reply = self.client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=at_most,
            **{
                "MessageSystemAttributeNames": ["All"],
                "WaitTimeSeconds": self.wait_seconds,
                **more,
            },
        )
        return reply.get("Messages", [])

    def receive_one(self, *, hidden_for: int | None = None, **more: Any) -> "MessageTypeDef":
        messages = self.receive(hidden_for=hidden_for, **more)
        assert len(messages) == 1, "a message should have been there"
        return messages[0]

    def bodies(self, at_most: int = 10, **more: Any) -> list[str]:
        return [message["Body"] for message in self.receive(at_most, **more)]

    def delete(self, message: "MessageTypeDef") -> None:
        self.client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])

    def hide(self, message: "MessageTypeDef", seconds: int) -> None:
        self.client.change_message_visibility(
            QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=seconds
        )


class Target:
    def __init__(
        self,
        name: str,
        client: "SQSClient",
        server: QueueServer | None = None,
        process: InstalledSQS | None = None,
    ) -> None:
        self.name = name
        self.client = client
        self._server = server
        self._process = process
        self._made: list[str] = []

    @property
    def is_amazon(self) -> bool:
        return self.name == "amazon"

    @property
    def has_standard_queues(self) -> bool:
        return self.name != "double"

    @property
    def short(self) -> int:
        """What is hidden for so many seconds is still hidden at the next call. Where a clock can be
        moved, real time goes on beside it, and long ones cost nothing."""
        return 60 if self._server else 2

    def advance(self, seconds: float) -> None:
        """Let time pass; where only waiting can do that, a test that needs long is skipped."""
        patience = PATIENCE_ON_AMAZON_SECONDS if self.is_amazon else PATIENCE_HERE_SECONDS
        if self._server:
            self._server.clock.advance(seconds)
        elif seconds <= patience:
            time.sleep(seconds)
        else:
            pytest.skip(f"needs a movable clock: {seconds:g} s")

    def eventually(self, true: Callable[[], bool]) -> bool:
        """Counts, purges and moves are done in the background, on Amazon within a minute."""
        deadline = time.monotonic() + (70 if self.is_amazon else 2)
        while not true():
            if time.monotonic() > deadline:
                return False
            time.sleep(1 if self.is_amazon else 0.05)
        return True

    def new_name(self, prefix: str = "conformance") -> str:
        return f"{prefix}-{secrets.token_hex(6)}.fifo"

    def create(self, name: str, **attributes: str) -> str:
        """The queue's address, which is deleted after the test."""
        reply = self.client.create_queue(
            QueueName=name,
            Attributes=attributes,  # type: ignore[arg-type] # as a user would write it
        )
        self._made.append(reply["QueueUrl"])
        return reply["QueueUrl"]

    def queue(self, **attributes: str) -> Queue:
        url = self.create(self.new_name(), FifoQueue="true", **attributes)
        return Queue(self.client, url, wait_seconds=2 if self.is_amazon else 0)

    def queue_with_dead_letters(
        self, *, receives: int, of_the_dead: dict[str, str] | None = None, **attributes: str
    ) -> tuple[Queue, Queue]:
        dead_letters = self.queue(**of_the_dead or {})
        policy = {"deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": str(receives)}
        return self.queue(RedrivePolicy=json.dumps(policy), **attributes), dead_letters

    def delete_queues(self) -> None:
        while self._made:
            try:
                self.client.delete_queue(QueueUrl=self._made.pop())
            except ClientError as error:
                if error.response["Error"]["Code"] != NO_SUCH_QUEUE:
                    raise

    def stop(self) -> None:
        if self._server:
            self._server.stop()
        if self._process:
            self._process.stop()


def targets() -> "Sequence[ParameterSet]":
    known = [
        pytest.param("double"),
        pytest.param("moto", marks=long),
        _unless("fauxqs", _reason_against_fauxqs()),
        _unless("amazon", _reason_against_amazon()),
    ]
    return [*known, *at_length("endpoint")] if os.environ.get("CONFORMANCE_ENDPOINT") else known


def _unless(name: str, reason: str) -> "ParameterSet":
    return pytest.param(name, marks=[long, pytest.mark.skip(reason=reason)] if reason else [long])


def start(name: str) -> Target:
    if name == "double":
        server = QueueServer()
        server.start()
        return Target(name, _local_client(server.url), server)
    if name == "moto":
        return Target(name, _local_client(_address_of_moto()))
    if name == "fauxqs":
        process = InstalledSQS(name)
        return Target(name, _local_client(process.start()), process=process)
    if name == "endpoint":
        return Target(name, _local_client(os.environ["CONFORMANCE_ENDPOINT"]))
    return Target(name, _amazon_client())


def _address_of_moto() -> str:
    address = os.environ["AWS_ENDPOINT_URL"]
    try:
        has_moto = requests.get(f"{address}/moto-api/data.json", timeout=10).ok
    except requests.RequestException:
        has_moto = False
    if not has_moto:
        pytest.skip("AWS_ENDPOINT_URL names something else than a moto server")
    return address


def _config(**more: Any) -> Config:
    # Without tries again: a test sees the first answer.
    return Config(connect_timeout=5, read_timeout=40, retries={"total_max_attempts": 1}, **more)


def _local_client(address: str) -> "SQSClient":
    return boto3.client(
        "sqs",
        region_name=REGION,
        endpoint_url=address,
        aws_access_key_id="conformance",
        aws_secret_access_key="conformance",
        config=_config(proxies={}),
    )


def _amazon_session() -> boto3.Session:
    """By a profile: the tests' settings replace what the environment says of credentials."""
    name = os.environ.get("CONFORMANCE_AWS_PROFILE", "default")
    return boto3.Session(profile_name=name, region_name=REGION)


def _reason_against_fauxqs() -> str:
    if reason := missing("fauxqs"):
        return reason
    if (version := version_of("fauxqs")) != FAUXQS_VERSION:
        return f"fauxqs {version} is installed, and the differences are those of {FAUXQS_VERSION}"
    return ""


def _reason_against_amazon() -> str:
    if os.environ.get("CONFORMANCE_ON_AMAZON") != "1":
        return "costs money: set CONFORMANCE_ON_AMAZON=1, and CONFORMANCE_AWS_PROFILE"
    try:
        has_credentials = _amazon_session().get_credentials() is not None
    except BotoCoreError:
        has_credentials = False
    return "" if has_credentials else "no credentials in the profile CONFORMANCE_AWS_PROFILE names"


def _amazon_client() -> "SQSClient":
    address = f"https://sqs.{REGION}.amazonaws.com"
    return _amazon_session().client("sqs", endpoint_url=address, config=_config())
