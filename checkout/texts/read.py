"""Which texts there are, and which of them a visitor reads.

Every page links the texts in its footer. So each process keeps in mind which there are, and asks
the database again after ten seconds: a page costs no statement for its links, but for one page in
ten seconds. A text's own page is read from the database each time, so that staff see at once what
they saved.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.conf import settings
from django.db import Error
from django.db.models import Case, F, QuerySet, TextField, Value, When
from django.utils.translation import get_language

from checkout.texts.models import ShopText, TextKind

# So long may a new text wait for its link, in each web process.
ASK_AGAIN_SECONDS = 10.0


@dataclass(frozen=True)
class KnownText:
    kind: str
    language: str
    title: str
    body: str  # of the welcome alone; the other texts are read by their own pages


@dataclass
class _Kept:
    texts: list[KnownText] = field(default_factory=list)
    good_until: float = 0.0  # by the monotonic clock


_kept = _Kept()


def known_texts(*, asks_database: bool = True) -> list[KnownText]:
    """Every text there is. Where the database does not answer, what was known last: a footer takes
    no page down."""
    if asks_database and time.monotonic() >= _kept.good_until:
        try:
            keep(_read())
        except Error:
            keep(_kept.texts)
    return _kept.texts


def keep(texts: list[KnownText], *, for_seconds: float = ASK_AGAIN_SECONDS) -> None:
    _kept.texts = texts
    _kept.good_until = time.monotonic() + for_seconds


def forget() -> None:
    """Have the next page ask the database."""
    keep([], for_seconds=0)


def _read() -> list[KnownText]:
    is_welcome = When(kind=TextKind.WELCOME, then=F("body"))
    body = Case(is_welcome, default=Value(""), output_field=TextField())
    rows = ShopText.objects.annotate(known_body=body)
    return [KnownText(*row) for row in rows.values_list("kind", "language", "title", "known_body")]


def read_text(kind: str) -> ShopText | None:
    """The text in the visitor's language, and otherwise as `best_language` has it."""
    written: QuerySet[ShopText] = ShopText.objects.filter(kind=kind)
    texts = {text.language: text for text in written}
    return texts[best_language(texts)] if texts else None


def known_text(kind: str, *, asks_database: bool = True) -> KnownText | None:
    texts = {
        text.language: text
        for text in known_texts(asks_database=asks_database)
        if text.kind == kind
    }
    return texts[best_language(texts)] if texts else None


def best_language(there: Iterable[str]) -> str:
    """The visitor's language, else the shop's, else any: a text in a foreign language says more
    than none."""
    languages = sorted(there)
    for wanted in (get_language(), settings.LANGUAGE_CODE):
        if wanted in languages:
            return str(wanted)
    return languages[0]
