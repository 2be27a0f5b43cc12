"""The worker's processes: a parent that settles nothing, and children that each run a `Worker`. In
a shop of one machine another child sends what the others have stored: messages, mails, webhooks."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from wsgiref.simple_server import WSGIServer

from django.core.management.base import CommandError, OutputWrapper
from django.db import connection

from checkout.orders.operations.liveness import STALE_AFTER_SECONDS, Alive, metrics_server, touch
from checkout.orders.operations.senders import run_senders
from checkout.orders.queue.setup import dead_letter_problem
from checkout.orders.queue.sqs import (
    PaymentsQueue,
    QueueMissing,
    connect_when_reachable,
    sqs_client,
)
from checkout.runtime import faultpoints, metrics, spans
from checkout.runtime.supervisor import Seat, Supervisor
from payments.gateways.load import Gateways
from payments.worker.give_back import give_back
from payments.worker.in_flight import InFlight, records_for
from payments.worker.worker import FINISH_SECONDS, Worker

# Beyond what a child takes to finish: its threads look at their clocks every so often.
FINISH_MARGIN_SECONDS = 5.0


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not everywhere
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(kw_only=True)
class WorkerProcesses:
    processes: int
    threads: int  # of each process
    wait_seconds: int
    stdout: OutputWrapper
    sends_too: bool = False  # a process more, which publishes, and sends mails and webhooks
    alive_file: Path | None = None
    metrics_port: int | None = None
    queue_url: str = ""  # known when SQS has answered

    def run(self, stopping: Event) -> None:
        """Run until `stopping` is set and everything in flight is finished or left to others."""
        Gateways.load()  # a mistake in their settings ends the command here, and not each child
        server = None
        if self.metrics_port:
            server = metrics_server(lambda: supervisor.is_fresh(), self.metrics_port)
        supervisor = Supervisor(
            self._work,
            seats=self.processes + self.sends_too,
            records=records_for(self.threads),
            give_back=self._give_back,
            stale_after_seconds=STALE_AFTER_SECONDS,
            beside=(lambda stopping: _serve(server, stopping)) if server else None,
            on_check=self._touch_alive_file,
            on_death=metrics.process_ended,
        )
        with supervisor:
            self.queue_url = self._find_queue(supervisor, stopping)
            connection.close()  # no child may find one of ours open
            supervisor.run(stopping, finish_seconds=FINISH_SECONDS + FINISH_MARGIN_SECONDS)

    def _find_queue(self, supervisor: Supervisor, stopping: Event) -> str:
        """Waits for an SQS that is down. Raises CommandError where no payment should be taken."""
        try:
            queue = connect_when_reachable(stopping, on_try=supervisor.beat)
        except QueueMissing as error:
            raise CommandError(str(error)) from error
        if queue is None:
            return ""
        if problem := dead_letter_problem(queue.url):
            raise CommandError(problem)
        self.stdout.write(f"Receiving from {queue.url}")
        return queue.url

    def _work(self, seat: Seat, stopping: Event) -> None:
        """One child, from its start to its end."""
        if not seat.is_first_child:
            faultpoints.forget()  # whoever died of one has shown what was to be seen
        if seat.number < self.processes:
            self._settle(seat, stopping)
        else:
            queue = PaymentsQueue(sqs_client(), self.queue_url)
            run_senders(queue, stopping, on_beat=seat.records.beat)
        spans.stop()

    def _settle(self, seat: Seat, stopping: Event) -> None:
        worker = Worker(
            self._queue(),
            Gateways.load(),
            threads=self.threads,
            wait_seconds=self.wait_seconds,
            alive=Alive("worker", on_beat=seat.records.beat),
            in_flight=InFlight(self.threads, seat.records),
            samples_queue=seat.number == 0,
        )
        if left := worker.run(stopping):
            self.stdout.write(f"{left} payments left to other workers.")

    def _give_back(self, owner: str, records: Mapping[int, bytes], stopping: Event) -> None:
        give_back(
            owner,
            records,
            self._queue(),
            receive_wait_seconds=self.wait_seconds,
            stopping=stopping,
        )

    def _queue(self) -> PaymentsQueue:
        return PaymentsQueue(sqs_client(wait_seconds=self.wait_seconds), self.queue_url)

    def _touch_alive_file(self, is_fresh: bool) -> None:
        if self.alive_file and is_fresh:
            touch(self.alive_file)


def _serve(server: WSGIServer, stopping: Event) -> None:
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    stopping.wait()
