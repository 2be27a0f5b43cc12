"""A parent starts, watches, replaces and ends its children, whatever becomes of any of them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from checkout.runtime.supervisor import _pause_after
from config.local.processes import children_of
from tests.support.processes import ROOT, eventually, is_alive

Start = Callable[..., Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Popen[bytes]] = []

    def start_one(how: str, finish_seconds: float = 20, stale_seconds: float = 60) -> Popen[bytes]:
        command = [sys.executable, "-m", "tests.runtime.supervised"]
        command += [str(tmp_path), how, str(finish_seconds), str(stale_seconds)]
        started.append(subprocess.Popen(command, cwd=ROOT, start_new_session=True))
        return started[-1]

    yield start_one
    for parent in started:
        if parent.poll() is None:
            os.killpg(parent.pid, signal.SIGKILL)
            parent.wait()


def seated(folder: Path, number: int) -> list[int]:
    return [int(path.name.rpartition("-")[2]) for path in folder.glob(f"child-{number}-*")]


def both_begin(folder: Path) -> tuple[int, int]:
    eventually(lambda: bool(seated(folder, 0) and seated(folder, 1)), what="both children's start")
    return seated(folder, 0)[0], seated(folder, 1)[0]


def test_killed_child_is_replaced_and_what_it_held_is_given_back(
    start: Start, tmp_path: Path
) -> None:
    start("well")
    first, second = both_begin(tmp_path)

    os.kill(first, signal.SIGKILL)

    eventually(lambda: len(seated(tmp_path, 0)) == 2, what="the replacement")
    given_back = tmp_path / f"given-back-{first}"
    eventually(
        lambda: given_back.exists() and given_back.read_text() == f"work of {first}",
        what="giving back",
    )
    assert is_alive(second)
    assert len(seated(tmp_path, 1)) == 1


def test_sigterm_ends_children_and_gives_nothing_back(start: Start, tmp_path: Path) -> None:
    parent = start("well")
    children = both_begin(tmp_path)

    parent.terminate()

    assert parent.wait(timeout=30) == 0
    assert not any(map(is_alive, children))
    assert list(tmp_path.glob("given-back-*")) == []


def test_child_that_does_not_end_in_time_is_killed_and_what_it_held_is_given_back(
    start: Start, tmp_path: Path
) -> None:
    parent = start("deaf", 0.5)
    children = both_begin(tmp_path)

    parent.terminate()

    assert parent.wait(timeout=30) == 0
    assert not any(map(is_alive, children))
    assert all((tmp_path / f"given-back-{child}").exists() for child in children)


def test_second_signal_ends_all_at_once(start: Start, tmp_path: Path) -> None:
    parent = start("deaf")
    children = both_begin(tmp_path)

    def has_ended_when_asked_again() -> bool:
        parent.send_signal(signal.SIGINT)
        return parent.poll() is not None

    parent.terminate()
    eventually(has_ended_when_asked_again)

    assert parent.wait(timeout=30) == -signal.SIGINT
    eventually(lambda: not any(map(is_alive, children)), what="ending of the children")


def test_ctrl_c_reaches_children_too_and_is_one_signal_to_them(
    start: Start, tmp_path: Path
) -> None:
    parent = start("well")
    both_begin(tmp_path)

    os.killpg(parent.pid, signal.SIGINT)

    assert parent.wait(timeout=30) == 0


def test_children_end_when_their_parent_is_killed(start: Start, tmp_path: Path) -> None:
    parent = start("well")
    children = both_begin(tmp_path)

    parent.kill()
    parent.wait()

    eventually(lambda: not any(map(is_alive, children)), what="ending of the children")


def test_stopped_child_is_killed_and_replaced(start: Start, tmp_path: Path) -> None:
    start("well", stale_seconds=1)
    first, _ = both_begin(tmp_path)

    os.kill(first, signal.SIGSTOP)

    eventually(lambda: not is_alive(first), what="ending of the stopped child")
    eventually(lambda: len(seated(tmp_path, 0)) >= 2, what="the replacement")
    eventually((tmp_path / f"given-back-{first}").exists, what="giving back")


def test_child_that_gives_no_sign_of_life_is_replaced(start: Start, tmp_path: Path) -> None:
    start("silent")
    _, second = both_begin(tmp_path)

    eventually(lambda: len(seated(tmp_path, 0)) >= 2, what="the replacement")

    assert is_alive(second)


def test_child_that_cannot_live_is_started_ever_more_slowly(start: Start, tmp_path: Path) -> None:
    parent = start("weak")
    eventually(lambda: len(seated(tmp_path, 0)) >= 3, what="three starts")

    assert parent.poll() is None
    pauses = [_pause_after(deaths) for deaths in range(1, 12)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 0  # the first death costs nothing
    assert pauses[-1] == pauses[-2] == 10
    parent.terminate()
    assert parent.wait(timeout=30) == 0
    assert children_of(parent.pid) == []
