"""The shop where there is next to nothing: a fresh clone, an ordinary user, an empty environment,
and no program but make, git, a Python and what every system has. Once with each supported Python
that is found here.

There `make demo` has to make its first purchase, tests that start processes have to pass, and tests
of optional parts have to say why they are skipped. What is not committed has no part in it.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ["3.14", "3.13", "3.12", "3.11"]

# Where version managers keep theirs, outside of PATH: pyenv, uv, asdf and mise.
MANAGED = [
    ("PYENV_ROOT", ".pyenv", "versions/{}.*/bin/python{}"),
    ("UV_PYTHON_INSTALL_DIR", ".local/share/uv/python", "cpython-{}.*/bin/python{}"),
    ("ASDF_DATA_DIR", ".asdf", "installs/python/{}.*/bin/python{}"),
    ("MISE_DATA_DIR", ".local/share/mise", "installs/python/{}.*/bin/python{}"),
]

NEEDED = [
    *["bash", "cat", "cp", "env", "expand", "find", "git", "make", "mkdir", "mv", "readlink"],
    *["rm", "sed", "sh", "sleep", "touch", "uname"],
]
# Looked for there, whatever PATH says.
FIXED_PLACES = ["/usr/lib/postgresql", "/usr/sbin/pgbouncer", "/usr/bin/chromium"]

# They may need to be told how this machine reaches packages; nothing else is told.
TOLD_TO_INSTALLERS = re.compile(
    r"(?:PIP|UV)_\w+|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|\w+_proxy", re.IGNORECASE
)

TESTS = [
    "tests/acceptance/test_crashes.py::test_sigterm_ends_the_publisher_with_0",
    "tests/acceptance/test_crashes.py::test_second_signal_ends_the_worker_now_and_loses_nothing",
    "tests/acceptance/test_runbook.py::test_queue_that_takes_nothing",
    "tests/deploy/test_compose.py::"
    "test_first_script_of_the_database_makes_a_role_that_may_log_in_and_has_the_limits",
]
# Test of an optional part → what it says where that is absent.
SKIPPED = {
    "tests/browser/test_accessibility.py": "axe-core is not here",
    "tests/browser/test_repeats.py": "no Chromium on this machine",
    "tests/acceptance/test_pgbouncer.py": "No pgbouncer is installed here",
    "tests/api/test_api_page.py": "There is no curl here",
}
# The first one fetches the packages. The others mostly wait for what they install and start.
AT_ONCE = 2

READY = "Ctrl-C ends everything."
READY_SECONDS, END_SECONDS, STEP_SECONDS = 180, 40, 600


class Failed(Exception):
    """What went wrong, for a person."""


@dataclass(frozen=True)
class Interpreter:
    version: str
    program: Path
    prefix: Path

    @property
    def of_the_system(self) -> bool:
        return self.prefix in (Path("/usr"), Path("/usr/local"))


def interpreters() -> Iterator[Interpreter]:
    """The first of each version that runs and can make environments."""
    for version in VERSIONS:
        for program in _candidates(version):
            asked = "import ensurepip, sys, venv; print(sys.base_prefix, *sys.version_info[:2])"
            answer = subprocess.run(
                [program, "-c", asked], capture_output=True, text=True, check=False
            )
            prefix, *numbers = answer.stdout.split() or [""]
            if answer.returncode == 0 and ".".join(numbers) == version:
                yield Interpreter(version, program, Path(prefix))
                break


def _candidates(version: str) -> Iterator[Path]:
    for folder in os.get_exec_path():
        for name in (f"python{version}", "python3", "python"):
            if (program := Path(folder) / name).exists() and os.access(program, os.X_OK):
                yield program
    for variable, usual, pattern in MANAGED:
        managed = Path(os.environ.get(variable) or Path.home() / usual)
        yield from sorted(managed.glob(pattern.format(version, version)), reverse=True)


def link_programs(folder: Path) -> None:
    """A PATH of what is needed alone."""
    folder.mkdir()
    for name in NEEDED:
        if found := shutil.which(name):
            (folder / name).symlink_to(found)


def problems(said: str, status: int, reasons: Sequence[str]) -> list[str]:
    """What a run of the tests shows that must not be: a failure, or a reason that was not given."""
    silent = [f"No test was skipped with {reason!r}." for reason in reasons if reason not in said]
    return ([f"The tests ended with status {status}."] if status else []) + silent


class BareMachine:
    """A folder with a clone, a home and a PATH, and the user whom they belong to."""

    def __init__(self, folder: Path, home: Path, python: Interpreter) -> None:
        self.clone, self.home, self.programs = folder / "clone", home, folder / "programs"
        self.python = python
        folder.chmod(0o755)
        link_programs(self.programs)
        self.environment = {"PATH": str(self.programs), "HOME": str(self.home)}
        self._offer(folder / "python")
        clone = ["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(self.clone)]
        subprocess.run(clone, check=True)
        self.user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            owner = f"{nobody.pw_uid}:{nobody.pw_gid}"
            subprocess.run(["chown", "-R", owner, str(self.clone), str(self.home)], check=True)

    def _offer(self, copy: Path) -> None:
        """One of a version manager lies in somebody's home, where no other user may look."""
        program = self.python.program
        if not self.python.of_the_system:
            unused = shutil.ignore_patterns("site-packages", "test", "share")
            shutil.copytree(self.python.prefix, copy, symlinks=True, ignore=unused)
            program = copy / "bin" / f"python{self.python.version}"
            # Linked to its library by the path it was built for.
            self.environment["LD_LIBRARY_PATH"] = str(copy / "lib")
        # No link: a Python looks for its library beside the name it was called by.
        wrapper = self.programs / f"python{self.python.version}"
        wrapper.write_text(f'#!/bin/sh\nexec "{program}" "$@"\n')
        wrapper.chmod(0o755)

    def start(self, *command: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.clone,
            env=self.environment | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **self.user,
        )

    def run(self, *command: str, **more: str) -> tuple[int, str]:
        process = self.start(*command, **more)
        try:
            said, _ = process.communicate(timeout=STEP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise Failed(f"{' '.join(command)} did not end within {STEP_SECONDS} s.") from None
        return process.returncode, said


def install(machine: BareMachine, *, quickly: bool) -> str:
    """By `make`, as somebody who has just cloned it; or by uv, where pip took minutes already."""
    told = {name: value for name, value in os.environ.items() if TOLD_TO_INSTALLERS.fullmatch(name)}
    if quickly and _installed_by_uv(machine, told):
        return "installed by uv"
    # Of a hundred packages the tests load a third.
    status, said = machine.run("make", ".venv/.installed", PIP_NO_COMPILE="1", **told)
    if status:
        raise Failed(f"Nothing could be installed:\n{said}")
    return "installed by make"


def _installed_by_uv(machine: BareMachine, told: dict[str, str]) -> bool:
    """The same packages. False where uv does not find them, which reads no settings of pip's."""
    uv = machine.programs.with_name("uv")
    shutil.copy2(Path(sys.executable).with_name("uv"), uv)
    made, _ = machine.run(f"python{machine.python.version}", "-m", "venv", ".venv")
    command = [str(uv), "pip", "install", "-q", "--python", ".venv/bin/python"]
    command += ["--require-hashes", "-r", "requirements-dev.lock"]
    installed, _ = machine.run(*command, **told)
    if made or installed:
        return False
    machine.run("touch", ".venv/.installed")
    return True


def demo_sells(machine: BareMachine) -> None:
    output = machine.home / f"demo-{machine.python.version}.txt"
    demo = machine.start("sh", "-c", f'exec make demo PORT={_free_port()} > "{output}" 2>&1')
    deadline = time.monotonic() + READY_SECONDS
    said = ""
    while READY not in said and demo.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
        said = output.read_text() if output.exists() else ""
    demo.terminate()
    try:
        status = demo.wait(timeout=END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(demo.pid, signal.SIGKILL)
        raise Failed(f"The demo did not end.\n{output.read_text()}") from None
    if READY not in said or "One order:" not in said:
        raise Failed(f"The demo ended with {status} and sold nothing:\n{output.read_text()}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def tests_pass(machine: BareMachine, hidden: bool) -> str:
    command = [".venv/bin/python", "-m", "pytest", "-q", "-n", "2", *TESTS, *SKIPPED]
    status, said = machine.run(*command)
    if found := problems(said, status, list(SKIPPED.values()) if hidden else []):
        raise Failed("\n".join([said, *found]))
    return said.strip().splitlines()[-1]


def hide_fixed_places(nothing: Path) -> bool:
    """Covers them for this process and its children; only root may, and not everywhere."""
    there = [place for place in FIXED_PLACES if Path(place).exists()]
    if not there:
        return True
    if os.environ.get("BARE_RUN_MAY_MOUNT") != "yes":
        print(f"These cannot be hidden here, so their tests may run: {', '.join(there)}")
        return False
    nothing.mkdir()
    for place in there:
        cover = str(nothing) if Path(place).is_dir() else os.devnull
        subprocess.run(["mount", "--bind", cover, os.path.realpath(place)], check=True)
    return True


def in_own_namespace() -> None:
    """Goes on in a mount namespace of its own, where that is allowed."""
    if os.geteuid() or "BARE_RUN_MAY_MOUNT" in os.environ or not shutil.which("unshare"):
        return
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        return
    again = ["unshare", "--mount", sys.executable, __file__, *sys.argv[1:]]
    os.execvpe(again[0], again, os.environ | {"BARE_RUN_MAY_MOUNT": "yes"})  # noqa: S606 - wanted


def main() -> int:
    in_own_namespace()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # it is no other kind
    wanted = sys.argv[1:] or VERSIONS
    found = [python for python in interpreters() if python.version in wanted]
    for version in VERSIONS:
        if version not in [python.version for python in found]:
            print(f"Python {version} is not tried: there is none here, or it was not asked for.")
    # One for all, so that a package is fetched once.
    home = Path(tempfile.mkdtemp(prefix="shop-home-"))
    try:
        hidden = hide_fixed_places(home / "nothing")
        for python in found[:1]:
            bare_run(python, home, hidden=hidden, quickly=False)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            runs = [
                pool.submit(bare_run, python, home, hidden=hidden, quickly=True)
                for python in found[1:]
            ]
            for run in runs:
                run.result()
    except (Failed, OSError, subprocess.SubprocessError) as error:
        print(error)
        return 1
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return 0 if found else 1


def bare_run(python: Interpreter, home: Path, *, hidden: bool, quickly: bool) -> None:
    folder = Path(tempfile.mkdtemp(prefix="shop-bare-"))
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"Python {python.version}, {time.monotonic() - began:3.0f} s: {what}")

    try:
        machine = BareMachine(folder, home, python)
        say(install(machine, quickly=quickly))
        demo_sells(machine)
        say("the demo sells")
        say(tests_pass(machine, hidden))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
