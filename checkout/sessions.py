"""Django's sessions in the database, read by hand: with every request, which is too often for the
ORM to put the same statement together each time."""

import re
from datetime import datetime
from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db import connection

from checkout.orders.database import CONNECTION_ERRORS
from checkout.runtime.clock import database_now

# As Django makes them. A cookie can hold anything, and no column of text a NUL.
KEY = re.compile(r"[a-z0-9]{8,40}")

READ = "SELECT session_data FROM django_session WHERE session_key = %s AND expire_date > %s"


class SessionStore(db.SessionStore):
    def _validate_session_key(self, key: str | None) -> bool:
        """What no key of ours looks like is not looked up: whoever sends it has no session."""
        return bool(key and KEY.fullmatch(key))

    def _get_session_from_db(self) -> Session | None:
        with connection.cursor() as cursor:
            cursor.execute(READ, [self.session_key, database_now()])
            found = cursor.fetchone()
        if found is None:  # as Django's own: the next save makes a new one
            self._session_key = None
            return None
        return Session(session_key=self.session_key or "", session_data=found[0])

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        """By the clock that judges it, which may be another host's."""
        return super().get_expiry_date(**{"modification": database_now(), **kwargs})

    def save(self, must_create: bool = False) -> None:
        """What a page has done is committed by then, so a connection that was lost meanwhile must
        not turn the page into an error."""
        try:
            super().save(must_create)
        except CONNECTION_ERRORS:
            if connection.in_atomic_block:
                raise
            connection.close()
            super().save(must_create)
