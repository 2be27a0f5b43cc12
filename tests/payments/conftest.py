import time
from typing import Any

import pytest
from django.db import connection

from checkout.orders.queue.sqs import Incoming, PaymentsQueue
from payments.gateways.load import Gateways
from payments.worker import worker
from payments.worker.handle import Verdict, handle

EMPTY_SECONDS = 0.03


@pytest.fixture
def threads_leave_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a pool's threads end with a test, not with their process."""

    def handle_and_close(message: Incoming, gateways: Gateways, **how: Any) -> tuple[Verdict, int]:
        try:
            return handle(message, gateways, **how)
        finally:
            connection.close()

    monkeypatch.setattr(worker, "handle", handle_and_close)


@pytest.fixture
def empty_receives_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that does not wait at the queue would ask it again at once, which keeps a processor
    busy that other tests could use."""
    receive = PaymentsQueue.receive

    def patiently(queue: PaymentsQueue, **how: Any) -> list[Incoming]:
        found = receive(queue, **how)
        if not found:
            time.sleep(EMPTY_SECONDS)
        return found

    monkeypatch.setattr(PaymentsQueue, "receive", patiently)
