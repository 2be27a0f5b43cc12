from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from django.utils import timezone

from checkout.orders.restoring.numbers import InvoiceNumber
from checkout.orders.restoring.restores import restore_noted
from payments.gateways.example.client import ExampleGateway
from payments.restoring import run
from payments.restoring.run import Report, Wish
from tests.support.backups import Backup
from tests.support.till import only

Takes = Callable[[], "TimedBackup"]
Runs = Callable[..., Report]


class TimedBackup(Backup):
    """A backup that knows when it was taken, for `--since`."""

    taken_at: datetime


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> ExampleGateway:
    """Lives on while the database goes back."""
    gateway = ExampleGateway()
    command = "payments.management.commands.after_restore.Gateways.load"
    monkeypatch.setattr(command, lambda: only(gateway))
    return gateway


@pytest.fixture
def backed_up(transactional_db: None) -> Iterator[Takes]:
    """Takes backups, which end with the test."""
    taken: list[TimedBackup] = []

    def take() -> TimedBackup:
        backup = TimedBackup.take()
        assert isinstance(backup, TimedBackup)
        backup.taken_at = timezone.now()
        taken.append(backup)
        return backup

    yield take
    for backup in taken:
        backup.drop()


@pytest.fixture
def nothing_in_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """To read a queue takes seconds."""
    monkeypatch.setattr(run, "_lost_in_the_queue", lambda report: [])


@pytest.fixture
def after_restore(nothing_in_the_queue: None, gateway: ExampleGateway) -> Runs:
    """Runs what the command does, as for an operator who knows to when the database went back."""

    def runs(
        backup: TimedBackup, *, dry_run: bool = False, last_invoices: tuple[str, ...] = ()
    ) -> Report:
        since = backup.taken_at
        seen = [InvoiceNumber.read(written) for written in last_invoices]
        wish = Wish(
            since=since,
            by="ada",
            is_new=restore_noted(since=since) is None,
            dry_run=dry_run,
            last_invoices=tuple(number for number in seen if number),
        )
        return run.after_restore(wish, only(gateway), clock=timezone.now)

    return runs
