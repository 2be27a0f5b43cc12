"""On demand the queue double delivers every message a second time, and no third time."""

from collections.abc import Iterator

import pytest
import requests

from config.local.sqs_double.server import QueueServer


@pytest.fixture
def server() -> Iterator[QueueServer]:
    running = QueueServer()
    running.start()
    yield running
    running.stop()


def ask(server: QueueServer, action: str, **content: object) -> dict[str, list[dict[str, str]]]:
    headers = {"X-Amz-Target": f"AmazonSQS.{action}"}
    reply = requests.post(server.url, json=content, headers=headers, timeout=10)
    answer: dict[str, list[dict[str, str]]] = reply.json()
    assert reply.ok, answer
    return answer


@pytest.mark.parametrize("twice", [True, False])
def test_deleted_message_comes_once_more_where_that_is_wanted(
    server: QueueServer, twice: bool
) -> None:
    ask(server, "CreateQueue", QueueName="q.fifo", Attributes={"FifoQueue": "true"})
    url = f"{server.url}/000000000000/q.fifo"
    requests.post(f"{server.url}/control/twice", json={"on": twice}, timeout=10)
    ask(
        server,
        "SendMessage",
        QueueUrl=url,
        MessageBody="settle",
        MessageGroupId="order",
        MessageDeduplicationId="1",
    )

    received = 0
    while messages := ask(server, "ReceiveMessage", QueueUrl=url).get("Messages", []):
        received += len(messages)
        handle = messages[0]["ReceiptHandle"]
        ask(server, "DeleteMessage", QueueUrl=url, ReceiptHandle=handle)

    assert received == (2 if twice else 1)
