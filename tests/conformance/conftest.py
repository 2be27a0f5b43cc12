from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.differences import OF_MOTO
from tests.conformance.targets import Queue, Target, start, targets

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A declared difference has to show: one that is gone fails the run until it is struck off."""
    for item in items:
        if HERE in item.path.parents and isinstance(item, pytest.Function):
            name = item.name.replace("[moto]", "").replace("[moto-", "[")
            reason = OF_MOTO.get(name) or OF_MOTO.get(item.originalname)
            if name != item.name and reason:
                item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture(scope="session", params=targets())
def _started(request: pytest.FixtureRequest) -> Iterator[Target]:
    started = start(request.param)
    yield started
    started.stop()


@pytest.fixture
def target(_started: Target) -> Iterator[Target]:
    yield _started
    _started.delete_queues()


@pytest.fixture
def queue(target: Target) -> Queue:
    return target.queue()
