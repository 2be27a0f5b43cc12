"""The id of this installation, which is drawn at random once for each database.

A restored backup is the same installation again. A copy that runs beside its original is not, and
`manage.py renew_installation` draws another id for it.
"""

from checkout.orders.models import Installation, new_installation_id

_known: str | None = None


def installation_id() -> str:
    """Ask the database once in each process. An emptied database is another installation."""
    global _known
    known = _known
    if known is None:
        row, _ = Installation.objects.get_or_create(pk=Installation.ONLY)
        known = _known = row.installation_id
    return known


def renew_installation() -> str:
    """Draw a new id. Other processes learn of it when they are started again."""
    new = new_installation_id()
    Installation.objects.update_or_create(pk=Installation.ONLY, defaults={"installation_id": new})
    forget_installation()
    return new


def forget_installation() -> None:
    global _known
    _known = None
