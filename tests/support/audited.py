"""What `manage.py audit_orders` would find in the database."""

from datetime import datetime

from django.utils import timezone

from payments.books.audit import audit_database


def violations(*, now: datetime | None = None, of: str = "", but_for: str = "") -> list[str]:
    """Each broken promise in a line. `of` is the promise to look at, such as "I7"; `but_for` is the
    sentence of one that is broken on purpose."""
    return [
        row
        for finding in audit_database(now or timezone.now())
        for row in finding.rows
        if of in ("", finding.invariant) and finding.promise != but_for
    ]
