"""SQS servers of other makers, each where it is installed on this machine: the shop runs over them
as over the double and moto. None is a dependency, and none is fetched by a test.

fauxqs comes from npm (`npm install --global fauxqs`), LocalStack from its own installer and with
Docker. Nobody has run these tests over LocalStack yet: how it is started is what its documentation
says ("LocalStack, Configuration"), and how it differs is not known.
"""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import requests

from config.local.processes import CannotStart, Child, free_port, stop, wait_until

# LocalStack fetches an image at its first start.
START_SECONDS = 120


@dataclass(frozen=True)
class Program:
    command: list[str]
    port_setting: str
    health: str
    settings: dict[str, str]
    needs_docker: bool = False


KNOWN = {
    "fauxqs": Program(["fauxqs"], "FAUXQS_PORT", "/health", {"FAUXQS_HOST": "127.0.0.1"}),
    "localstack": Program(
        ["localstack", "start", "--no-banner"],
        "GATEWAY_LISTEN",
        "/_localstack/health",
        {"SERVICES": "sqs"},
        needs_docker=True,
    ),
}


def missing(name: str) -> str:
    """Why the server cannot be started here; empty where it can."""
    program = KNOWN[name]
    if shutil.which(program.command[0]) is None:
        return f"{name} is not installed here"
    if program.needs_docker and not _has_docker():
        return f"{name} is installed here, and no Docker answers, which it needs"
    return ""


def version_of(name: str) -> str:
    """The version of a program that npm has installed."""
    found = shutil.which(KNOWN[name].command[0])
    assert found
    for folder in Path(found).resolve().parents:
        if (folder / "package.json").is_file():
            return str(json.loads((folder / "package.json").read_text())["version"])
    return "of an unknown version"


class InstalledSQS:
    def __init__(self, name: str) -> None:
        self._program = KNOWN[name]
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._folder = tempfile.TemporaryDirectory(prefix="shop-sqs-")
        listen = f"127.0.0.1:{port}" if name == "localstack" else str(port)
        self._child = Child(
            name=name,
            command=self._program.command,
            log=Path(self._folder.name) / "log",
            environment={
                **os.environ,
                **self._program.settings,
                self._program.port_setting: listen,
            },
        )

    def start(self) -> str:
        """The server's address, once the server answers there."""
        self._child.start()
        wait_until(lambda: self._answers() or not self._child.is_running, seconds=START_SECONDS)
        if not self._answers():
            said = self._child.log.read_text()[-500:]
            self.stop()
            raise CannotStart(f"{self._child.name} did not start. It said: {said}")
        return self.url

    def stop(self) -> None:
        stop([self._child], seconds=10)
        self._folder.cleanup()

    def _answers(self) -> bool:
        try:
            return requests.get(self.url + self._program.health, timeout=2).ok
        except requests.RequestException:
            return False


def _has_docker() -> bool:
    docker = shutil.which("docker")
    command = [docker or "", "info"]
    return (
        bool(docker)
        and not subprocess.run(command, capture_output=True, check=False, timeout=30).returncode
    )
