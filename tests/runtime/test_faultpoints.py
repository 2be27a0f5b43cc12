"""A child that ends its parent at a named place ends no other process in its stead."""

import os
import signal

import pytest
from pytest_django.fixtures import Settings

from checkout.runtime import faultpoints


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> list[int]:
    settings.FAULT_POINT = "end before message received"
    killed: list[int] = []

    def kill(pid: int, signum: int) -> None:
        assert signum == signal.SIGKILL
        killed.append(pid)

    monkeypatch.setattr("checkout.runtime.faultpoints.os.kill", kill)
    return killed


def test_parent_is_ended_too(killed: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faultpoints, "_LOADED_BY", os.getppid())

    faultpoints.fault_point("before message received")

    assert killed == [os.getppid(), os.getpid()]


def test_whoever_takes_in_an_orphan_is_not_ended(killed: list[int]) -> None:
    """The first child that met the fault has ended the parent. The second one's parent is then
    init, or what stands for it in a session: all that a person has open."""
    faultpoints.fault_point("before message received")

    assert killed == [os.getpid()]
