import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from checkout.orders.operations.liveness import add_liveness_arguments
from checkout.orders.queue.sqs import MAX_WAIT_SECONDS
from checkout.runtime import metrics
from checkout.runtime.loop import stop_signals
from checkout.user_input.whole_numbers import whole_argument
from payments.worker.processes import WorkerProcesses, cores

FOLDER_PREFIX = "worker-metrics-"


class Command(BaseCommand):
    stopped = "Worker stopped."
    sends_too = False
    help = (
        "Receive messages from the SQS queue and settle the payments of their orders. A parent "
        "starts the processes that do it and replaces those that die. Any number may run, on any "
        "number of machines. SIGTERM lets it finish what is in flight (60 s at most) and ends it "
        "with exit code 0; a second signal ends it at once, which loses nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--processes",
            type=whole_argument(least=1, most=1_000),
            default=cores(),
            metavar="N",
            help="Processes that settle payments (default: one for each core, here %(default)s).",
        )
        parser.add_argument(
            "--threads",
            type=whole_argument(least=1, most=1_000),
            default=20,
            metavar="N",
            help=(
                "Payments that each process settles at a time (default 20). A process has at most "
                "two more database connections than threads."
            ),
        )
        parser.add_argument(
            "--wait-seconds",
            type=whole_argument(),
            default=5,
            choices=range(MAX_WAIT_SECONDS + 1),
            metavar=f"0-{MAX_WAIT_SECONDS}",
            help="How long one receive waits for a message (default 5).",
        )
        add_liveness_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["metrics_port"]:
            _count_over_processes()
        try:
            with stop_signals() as stopping:
                WorkerProcesses(
                    processes=options["processes"],
                    threads=options["threads"],
                    wait_seconds=options["wait_seconds"],
                    stdout=self.stdout,
                    sends_too=self.sends_too,
                    alive_file=options["alive_file"],
                    metrics_port=options["metrics_port"],
                ).run(stopping)
        finally:
            if folder := _folder_of_ours():
                shutil.rmtree(folder, ignore_errors=True)
        self.stdout.write(self.stopped)


def _count_over_processes() -> None:
    """prometheus-client decides where to keep figures when it is loaded, which has happened by now.
    So the command begins once more, as the same process, with a folder of its own for figures."""
    if not _folder_of_ours():
        os.environ[metrics.FOLDER] = tempfile.mkdtemp(prefix=FOLDER_PREFIX)
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 - itself


def _folder_of_ours() -> str:
    folder = os.environ.get(metrics.FOLDER, "")
    return folder if Path(folder).name.startswith(FOLDER_PREFIX) else ""
