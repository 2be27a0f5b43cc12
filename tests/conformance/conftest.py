from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.differences import DIFFERENCES, NOT_RUN
from tests.conformance.targets import Queue, Target, start, targets

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A declared difference has to show: one that is gone fails the run until it is struck off.
    What may pass by chance is not run there."""
    for item in items:
        if HERE not in item.path.parents or not isinstance(item, pytest.Function):
            continue
        for server, differences in DIFFERENCES.items():
            name = item.name.replace(f"[{server}]", "").replace(f"[{server}-", "[")
            reason = differences.get(name) or differences.get(item.originalname)
            if name != item.name and reason:
                item.add_marker(
                    pytest.mark.xfail(reason=reason, strict=True, run=name not in NOT_RUN)
                )


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
