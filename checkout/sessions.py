"""Django's sessions in the database, read by a fixed statement: every request reads one, which is
too often for the ORM to build the same statement each time."""

import re
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import SESSION_KEY as USER_KEY
from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.db import connection, transaction

from checkout.runtime.clock import database_now
from checkout.runtime.database import CONNECTION_ERRORS

# Django makes keys of this form. A cookie can hold anything, and a column of text holds no NUL.
KEY = re.compile(r"[a-z0-9]{8,40}")

READ = "SELECT session_data FROM django_session WHERE session_key = %s AND expire_date > %s"
LOCK = "SELECT session_data FROM django_session WHERE session_key = %s FOR UPDATE"
REPLACE = """
    UPDATE django_session SET session_data = %s, expire_date = %s
    WHERE session_key = %s AND session_data = %s
"""

# A second press of a button, or a repetition by a proxy, follows the first within moments.
OLD_KEY_KEPT = timedelta(seconds=10)


class SessionStore(db.SessionStore):
    """Two requests that store one session at the same time both keep what they changed. Django
    would write the whole session again, and the change of the first would be lost."""

    _stored = ""  # as it was read, encoded
    _loaded: dict[str, Any] = {}

    def _validate_session_key(self, key: str | None) -> bool:
        """A key of another form is not looked up: whoever sends it has no session."""
        return bool(key and KEY.fullmatch(key))

    def _get_session_from_db(self) -> Session | None:
        with connection.cursor() as cursor:
            cursor.execute(READ, [self.session_key, database_now()])
            found = cursor.fetchone()
        if found is None:  # like Django's own store: the next save makes a new session
            self._session_key = None
            return None
        return Session(session_key=self.session_key or "", session_data=found[0])

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        """The date is of the database's clock, by which every host judges it."""
        return super().get_expiry_date(**{"modification": database_now(), **kwargs})

    def load(self) -> dict[str, Any]:
        found = self._get_session_from_db()
        self._stored = found.session_data if found else ""
        data: dict[str, Any] = self.decode(self._stored) if found else {}
        self._loaded = deepcopy(data)
        return data

    def save(self, must_create: bool = False) -> None:
        """What the request did is committed by then, so a connection that was lost meanwhile must
        not turn its page into an error."""
        if self.session_key is None:
            self.create()  # under a new key, which it has this method save
            return
        try:
            self._save(must_create)
        except CONNECTION_ERRORS:
            if connection.in_atomic_block:
                raise
            connection.close()
            self._save(must_create)

    def _save(self, must_create: bool) -> None:
        if must_create:
            super().save(must_create)
            self._stored, self._loaded = "", {}
            return
        data = self._get_session()  # type: ignore[attr-defined] # not in its stubs
        if self._replace(self._stored, data):
            return
        with transaction.atomic():  # another request has stored it meanwhile
            with connection.cursor() as cursor:
                cursor.execute(LOCK, [self.session_key])
                found = cursor.fetchone()
            if found is None:
                raise UpdateError
            self._session_cache = merged(self._loaded, self.decode(found[0]), data)
            self._replace(found[0], self._session_cache)

    def _replace(self, stored: str, data: dict[str, Any]) -> bool:
        """Replace the session only if it is still stored as it was read; the row count tells."""
        encoded = self.encode(data)
        with connection.cursor() as cursor:
            key = self.session_key or ""
            cursor.execute(REPLACE, [encoded, self.get_expiry_date(), key, stored])
            if not cursor.rowcount:
                return False
        self._stored, self._loaded = encoded, deepcopy(data)
        return True

    def cycle_key(self) -> None:
        """Signing in moves the session to a new key. A form that was sent twice comes with the old
        key both times, so the old key stays good for a moment, with nothing of the account in it:
        the second request, too, finds its cart."""
        data = self._get_session()  # type: ignore[attr-defined] # not in its stubs
        old_key = self.session_key
        self.create()
        self._session_cache = data
        if old_key and USER_KEY in data:
            self.delete(old_key)
        elif old_key:
            soon = database_now() + OLD_KEY_KEPT
            old = Session.objects.filter(pk=old_key, expire_date__gt=soon)
            old.update(expire_date=soon)


_GONE = object()


def merged(loaded: dict[str, Any], stored: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """What another request has stored since this one loaded it, with what this one has changed.

    Where both have set a new key, the value that was stored first stays. Where both have added to a
    list, both additions stay.
    """
    result = dict(stored)
    for name in loaded.keys() | ours.keys():
        before, now, theirs = (each.get(name, _GONE) for each in (loaded, ours, stored))
        if now == before:
            continue
        if now is _GONE:
            result.pop(name, None)
        elif isinstance(now, list) and isinstance(theirs, list):
            known = [*theirs, *(before if isinstance(before, list) else [])]
            result[name] = [*theirs, *(each for each in now if each not in known)]
        elif before is not _GONE or theirs is _GONE:
            result[name] = now
    return result
