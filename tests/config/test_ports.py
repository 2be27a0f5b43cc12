"""A port is given to one process only, though its server listens much later."""

import subprocess
import sys

from config.local.processes import free_port, take_port
from tests.support.processes import ROOT

TAKES_ONE = "from config.local.processes import free_port; print(free_port(), flush=True); input()"


def test_port_that_another_process_was_given_is_taken_until_that_process_ends() -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", TAKES_ONE],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with other:
        assert other.stdout
        port = int(other.stdout.readline())
        assert not take_port(port)
        other.kill()

    assert take_port(port)


def test_process_is_given_no_port_twice() -> None:
    assert not take_port(free_port())
