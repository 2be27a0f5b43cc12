"""The loop of the long-running commands: what ends a turn does not end the loop."""

import logging
import threading
from collections.abc import Iterator

import pytest
from django.db import OperationalError

from checkout.runtime.loop import run_loop

logger = logging.getLogger(__name__)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checkout.runtime.loop.PAUSE_SECONDS", 0.0)


def said(turns: list[int | Exception], caplog: pytest.LogCaptureFixture) -> list[str]:
    """What is logged while the loop takes these turns: how much each does, or what ends it."""
    stopping = threading.Event()
    left: Iterator[int | Exception] = iter(turns)

    def run_once() -> int:
        turn = next(left, None)
        if turn is None:
            stopping.set()
            return 0
        if isinstance(turn, Exception):
            raise turn
        return turn

    with caplog.at_level("INFO"):
        run_loop(
            run_once, stopping, doing="Work", log=logger, beat=lambda: None, outages=(OSError,)
        )
    return [record.getMessage() for record in caplog.records if record.name == logger.name]


FAILED, BACK = "Work failed, will go on trying", "Work works again"


def test_outage_is_said_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    assert said([1, OSError(), OSError(), 1, 1], caplog) == [FAILED, BACK]


def test_turn_that_did_nothing_proves_nothing_about_another_system(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert said([OSError(), 0, OSError(), 0], caplog) == [FAILED]


def test_turn_that_did_nothing_has_reached_the_database(caplog: pytest.LogCaptureFixture) -> None:
    assert said([OperationalError(), 0, OperationalError()], caplog) == [FAILED, BACK, FAILED, BACK]


def test_error_of_another_kind_ends_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="a fault of ours"):
        said([ValueError("a fault of ours")], caplog)
