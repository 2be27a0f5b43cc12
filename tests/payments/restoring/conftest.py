from collections.abc import Callable

import pytest
from django.utils import timezone

from checkout.orders.restoring.numbers import InvoiceNumber
from checkout.orders.restoring.restores import restore_noted
from payments.gateways.example.client import ExampleGateway
from payments.restoring import run
from payments.restoring.run import Report, Wish
from tests.support.backups import Backup
from tests.support.till import only

Runs = Callable[..., Report]


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> ExampleGateway:
    """Lives on while the database goes back."""
    gateway = ExampleGateway()
    command = "payments.management.commands.after_restore.Gateways.load"
    monkeypatch.setattr(command, lambda: only(gateway))
    return gateway


@pytest.fixture
def nothing_in_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue is not read, which would take seconds."""
    monkeypatch.setattr(run, "_lost_in_the_queue", lambda report: [])


@pytest.fixture
def after_restore(nothing_in_the_queue: None, gateway: ExampleGateway) -> Runs:
    """Runs what the command does, as for an operator who knows to when the database went back."""

    def runs(
        backup: Backup, *, dry_run: bool = False, last_invoices: tuple[str, ...] = ()
    ) -> Report:
        since = backup.taken_at
        seen = [InvoiceNumber.read(written) for written in last_invoices]
        wish = Wish(
            since=since,
            by="ada",
            noted_before="before" if restore_noted(since=since) else "",
            dry_run=dry_run,
            last_invoices=tuple(number for number in seen if number),
        )
        return run.after_restore(wish, only(gateway), clock=timezone.now)

    return runs
