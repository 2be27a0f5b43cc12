"""A local SQS in a process of its own: the server of moto, or the double that keeps a journal."""

import http.client
import sys
from collections.abc import Sequence
from pathlib import Path

from config.local.processes import CannotStart, Child, free_port, stop, wait_until

# Measured: 0.6 s. A machine under load takes longer.
START_SECONDS = 60

ROOT = Path(__file__).resolve().parents[2]


class LocalSQS:
    """A queue service that forgets everything when it stops, and keeps its address."""

    health = "/moto-api/data.json"

    def __init__(self, *, log: Path) -> None:
        self.is_wanted = True  # False: it was stopped on purpose, so nobody starts it again
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.child = Child(
            name="SQS", command=[sys.executable, "-m", *self._command()], log=log, directory=ROOT
        )

    def _command(self) -> Sequence[str]:
        return ["moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

    def start(self) -> str:
        self.child.start()
        wait_until(lambda: self.answers() or not self.child.is_running, seconds=START_SECONDS)
        if not self.answers():
            self.stop()
            raise CannotStart(f"The local SQS did not start. Its log is {self.child.log}.")
        return self.url

    def stop(self) -> None:
        stop([self.child], seconds=3)

    def answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", self.health)
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()


class JournalledSQS(LocalSQS):
    """The double in place of moto: it writes down whatever is done, and fails on demand."""

    health = "/control/requests"

    def __init__(self, *, log: Path, journal: Path) -> None:
        self.journal = journal
        super().__init__(log=log)

    def _command(self) -> Sequence[str]:
        return [
            "config.local.sqs_double",
            *("--port", str(self.port), "--journal", str(self.journal)),
        ]
