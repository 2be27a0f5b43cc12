"""Each database has one id of its own, which only a person changes."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from checkout.orders.identity.installation import forget_installation, installation_id
from checkout.orders.models import Installation


def test_migration_draws_one_that_cannot_be_guessed(db: None) -> None:
    [row] = Installation.objects.all()

    assert row.installation_id == installation_id()
    assert len(row.installation_id) >= 22
    with pytest.raises(IntegrityError):
        Installation.objects.create(pk=2)


def test_process_asks_once(db: None) -> None:
    installation_id()

    with CaptureQueriesContext(
        connection,
    ) as asked:
        installation_id()

    assert len(asked) == 0


def test_copy_that_runs_beside_its_original_is_given_another(transactional_db: None) -> None:
    before = installation_id()
    with pytest.raises(CommandError):
        call_command("renew_installation", stderr=StringIO())
    forget_installation()
    assert installation_id() == before

    told = StringIO()
    call_command("renew_installation", "--yes", "--json", stdout=told)

    assert json.loads(told.getvalue()) == {"before": before, "installation": installation_id()}
    forget_installation()
    assert installation_id() != before
