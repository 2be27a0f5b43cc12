"""Replies of the database that are lost on their way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

# This statement places an order, and commits by itself unless a transaction was begun.
PLACES = "INSERT INTO orders_order "

LOST = "the connection was lost"


@contextmanager
def reply_to_commit_lost() -> Iterator[None]:
    """The next COMMIT, or the next statement that commits an order by itself, reaches the database,
    and its reply is lost with the connection."""
    wrapper: Any = connections[DEFAULT_DB_ALIAS]
    is_lost = False

    def commit_unheard() -> None:
        nonlocal is_lost
        is_lost = True
        del wrapper._commit  # what hides the method of the class; nothing of that may stay behind
        wrapper._commit()
        raise OperationalError(LOST)

    def execute_unheard(execute: Callable[..., Any], sql: Any, *others: Any) -> Any:
        nonlocal is_lost
        result = execute(sql, *others)
        if not is_lost and not wrapper.in_atomic_block and PLACES in sql:
            is_lost = True
            vars(wrapper).pop("_commit")
            raise OperationalError(LOST)
        return result

    wrapper._commit = commit_unheard
    try:
        with wrapper.execute_wrapper(execute_unheard):
            yield
    finally:
        vars(wrapper).pop("_commit", None)
