"""What seldom happens to a shop, and happens to this one three times each in a run: Postgres fails
over to its standby, the queue is lost for good, and credentials end."""

from collections.abc import Callable

from tests.tools.drill.chaos import Event, Fleet
from tests.tools.drill.disasters.credentials import Credentials
from tests.tools.drill.disasters.failover import Cluster
from tests.tools.drill.disasters.lost_queue import Queues

FAILED_OVER = "Postgres failed over"
QUEUE_LOST = "queue lost for good"
ENDED = "credentials of the {} ended"
CLOCKS = "processes with a wrong clock"

# So often each happens, and is to happen at least.
TIMES = 3

AT_LEAST = {
    FAILED_OVER: TIMES,
    QUEUE_LOST: TIMES,
    CLOCKS: TIMES,
    **{ENDED.format(whose): TIMES for whose in ("queue", "gateway", "database")},
    "gateway: 401": TIMES,  # a call that met that: a shop that was refused hardly calls
}

# When, as parts of the time in which things go wrong. Postgres is also restarted at 0.3 and killed
# at 0.65, the queue is purged at 0.5, and each of these is over before the next.
FAIL_OVER_AT = (0.14, 0.46, 0.84)
LOSE_QUEUE_AT = (0.2, 0.4, 0.76)
END_AT = {
    "queue": (0.07, 0.36, 0.7),
    "gateway": (0.1, 0.54, 0.88),
    "database": (0.25, 0.6, 0.8),
}

# Who works with the queue, and has to be told of another one.
AT_THE_QUEUE = ("publisher", "worker")


class Disasters:
    def __init__(
        self, cluster: Cluster, queues: Queues, credentials: Credentials, fleet: Fleet
    ) -> None:
        self._queues = queues
        self._credentials = credentials
        self._fleet = fleet
        self._cluster = cluster

    def events(self, seconds: float) -> list[Event]:
        ends = {
            "queue": self._credentials.end_of_queue,
            "gateway": self._credentials.end_of_gateway,
            "database": self._credentials.end_of_database,
        }
        return [
            *_planned(FAIL_OVER_AT, FAILED_OVER, self._fail_over, seconds),
            *_planned(LOSE_QUEUE_AT, QUEUE_LOST, self._lose_queue, seconds),
            *[
                event
                for whose, act in ends.items()
                for event in _planned(END_AT[whose], ENDED.format(whose), act, seconds)
            ],
        ]

    def tend(self) -> None:
        self._credentials.tend()

    def end(self, worker: list[str]) -> None:
        """Credentials are good again, and lost queues are there again, each with such a worker."""
        self._credentials.all_come_back()
        self._fleet.add(self._queues.come_back(worker))

    @property
    def leave_postgres_alone(self) -> bool:
        return self._credentials.refuses_the_database

    def _fail_over(self) -> bool:
        return not self.leave_postgres_alone and self._cluster.fail_over()

    def _lose_queue(self) -> bool:
        return self._queues.lose(lambda: self._fleet.kill_all(AT_THE_QUEUE))


def _planned(
    parts: tuple[float, ...], kind: str, act: Callable[[], bool], seconds: float
) -> list[Event]:
    return [Event(part * seconds, kind, act) for part in parts]
