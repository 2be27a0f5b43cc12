"""A person whose every word is found again, wherever it went and however it was written there."""

import base64
import json
import secrets
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from urllib.parse import quote, quote_plus

from django.contrib.sessions.models import Session
from django.db import connection

TEXTS = ("text", "character varying", "character", "json", "jsonb", "ARRAY", "bytea", "inet")

COLUMNS = """
    SELECT table_name, column_name, data_type FROM information_schema.columns
    JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
    ORDER BY table_name, column_name
"""


def word() -> str:
    """Of letters that stand in no other word, one of them outside of ASCII."""
    letters = "".join(secrets.choice("bcdfghjkqvwxz") for _ in range(9))
    return f"Zq{letters}ö"


def number(digits: int) -> str:
    return "".join(secrets.choice("123456789") for _ in range(digits))


def _base64(text: str) -> Iterator[str]:
    """Its middle letters, which do not depend on what stands before and after it."""
    for before in range(3):
        written = base64.b64encode(b"-" * before + text.encode()).decode().rstrip("=")
        yield written[4 if before else 0 : -2]


def spellings(text: str) -> set[str]:
    """Everything that a canary could have become."""
    found = {text, text.upper(), text.lower(), text.casefold(), text.encode("utf-7").decode()}
    found |= {quote(text), quote(text).lower(), quote_plus(text), escape(text)}
    found |= {json.dumps(text)[1:-1], text.encode().hex(), *_base64(text)}
    return {each for each in found if len(each) > 5}


class Canaries:
    def __init__(self, words: Mapping[str, str]) -> None:
        self.words = dict(words)
        self._spellings = {name: spellings(text) for name, text in words.items()}

    def found_in(self, text: str) -> set[str]:
        """The names of those that the text holds."""
        return {
            name
            for name, spelled in self._spellings.items()
            if any(each in text for each in spelled)
        }

    def found_in_tables(self) -> dict[str, set[str]]:
        """Every column of every table → the canaries in it. Other columns hold no text."""
        found = {place: self.found_in(text) for place, text in _texts_of_tables()}
        return {place: names for place, names in found.items() if names}

    def found_in_files(self, *folders: Path, without: frozenset[str]) -> dict[str, set[str]]:
        found = {}
        for folder in folders:
            for path in _files(folder, without):
                text = path.read_bytes().decode(errors="replace")
                if names := self.found_in(text):
                    found[str(path)] = names
        return found


def _texts_of_tables() -> Iterator[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS)
        columns = [(table, column) for table, column, kind in cursor.fetchall() if kind in TEXTS]
        for table, column in columns:
            cursor.execute(
                f"SELECT coalesce(string_agg(\"{column}\"::text, E'\\n'), '') FROM \"{table}\""
            )
            yield f"{table}.{column}", cursor.fetchone()[0]
    for session in Session.objects.all():
        yield "django_session, decoded", json.dumps(session.get_decoded(), ensure_ascii=False)


def _files(folder: Path, without: frozenset[str]) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in without or path.is_symlink():
            continue
        if path.is_dir():
            yield from _files(path, without)
        elif path.is_file():
            yield path
