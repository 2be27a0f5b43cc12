from typing import Any

import pytest
from django.db import connection

from checkout.orders.queue.sqs import Incoming
from payments.gateways.load import Gateways
from payments.worker import worker
from payments.worker.handle import Verdict, handle


@pytest.fixture
def threads_leave_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a pool's threads end with a test, not with their process."""

    def handle_and_close(message: Incoming, gateways: Gateways, **how: Any) -> tuple[Verdict, int]:
        try:
            return handle(message, gateways, **how)
        finally:
            connection.close()

    monkeypatch.setattr(worker, "handle", handle_and_close)
