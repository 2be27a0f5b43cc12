"""A local SQS: the server of moto in a process of its own."""

import http.client
import sys
from pathlib import Path

from config.local.processes import CannotStart, Child, free_port, stop, wait_until

# Measured: 0.6 s. A machine under load takes longer.
START_SECONDS = 60


class LocalSQS:
    """A queue service that forgets everything when it stops, and keeps its address."""

    def __init__(self, *, log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.child = Child(
            name="SQS",
            command=[sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            log=log,
        )

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
            connection.request("GET", "/moto-api/data.json")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()
