"""Replies of the database that are lost on their way."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections


@contextmanager
def reply_to_commit_lost() -> Iterator[None]:
    """The next COMMIT reaches the database, and its reply is lost with the connection."""
    wrapper: Any = connections[DEFAULT_DB_ALIAS]

    def commit_unheard() -> None:
        del wrapper._commit  # what hides the method of the class; nothing of that may stay behind
        wrapper._commit()
        raise OperationalError("the connection was lost")

    wrapper._commit = commit_unheard
    try:
        yield
    finally:
        vars(wrapper).pop("_commit", None)
