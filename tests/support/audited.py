"""What `manage.py audit_orders` would find in the database."""

from datetime import datetime
from unittest.mock import patch

from django.utils import timezone

from payments.books import audit
from payments.books.audit import Check, Finding, audit_database, database_checks


def findings_of(promise: str, *, now: datetime | None = None) -> list[Finding]:
    """One promise is checked, by its number ("I7") or its sentence, and no other: all together take
    longer than most tests."""

    def checks(at: datetime) -> list[Check]:
        every = database_checks(at)
        return [each for each in every if promise in (each.invariant, each.promise)]

    with patch.object(audit, "database_checks", checks):
        return list(audit_database(now or timezone.now()))


def violations(*, now: datetime | None = None, of: str = "", but_for: str = "") -> list[str]:
    """Each broken promise in a line. `of` is the promise to look at, such as "I7"; `but_for` is the
    sentence of one that is broken on purpose."""
    now = now or timezone.now()
    return [
        row
        for finding in (findings_of(of, now=now) if of else audit_database(now))
        for row in finding.rows
        if finding.promise != but_for
    ]
