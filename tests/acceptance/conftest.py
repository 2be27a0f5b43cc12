from collections.abc import Iterator
from pathlib import Path

import pytest

from checkout.catalogue.models import Product
from checkout.orders.queue import PaymentsQueue
from payments.sandbox.server import SandboxServer
from tests.processes import ShopProcesses


@pytest.fixture
def processes(
    tmp_path: Path, shelf: list[Product], queue: PaymentsQueue, sandbox: SandboxServer
) -> Iterator[ShopProcesses]:
    logs = tmp_path / "logs"
    logs.mkdir()
    started = ShopProcesses(logs, STRIPE_API_BASE=sandbox.url)
    yield started
    started.stop()
    print(started.said())  # shown by pytest when the test failed
