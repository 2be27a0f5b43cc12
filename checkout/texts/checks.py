"""A system check that finds the texts that the shop has not written, or still has from the demo.

It asks the database, and stands all the same in `check --deploy` itself: under Django's `database`
tag it would be left out wherever nobody names a database.
"""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Info, Tags, register
from django.core.checks import Warning as WarningMessage
from django.db import Error

from checkout.runtime.database import impatiently
from checkout.texts.models import ShopText, TextKind

# What settings.SHOP_NAME is unless it is set.
NO_NAME = "Shop"

WHERE = "Write it in the admin, under Texts."


@register(Tags.compatibility, deploy=True)
def check_texts(**kwargs: Any) -> Iterator[CheckMessage]:
    try:
        with impatiently():
            texts = list(ShopText.objects.values_list("kind", "language", "is_demo"))
    except Error:
        yield Info(
            "Nobody looked for the texts that the shop must show, because the database does not "
            "answer, or is not migrated.",
            hint="Run the check again where it does.",
            id="texts.I001",
        )
        return
    yield from _missing({(kind, language) for kind, language, _ in texts})
    for kind, language, is_demo in texts:
        if is_demo:
            yield WarningMessage(
                f"The text {kind} ({language}) is the demo's.",
                hint="Replace it in the admin, under Texts, and take its tick away.",
                id="texts.W002",
            )


@register(Tags.compatibility, deploy=True)
def check_shop_name(**kwargs: Any) -> Iterator[CheckMessage]:
    if settings.SHOP_NAME == NO_NAME:
        yield WarningMessage(
            f"SHOP_NAME is not set: pages and mails call the shop {NO_NAME}.",
            hint="Set it to the shop's name.",
            id="texts.W003",
        )


def _missing(there: set[tuple[str, str]]) -> Iterator[CheckMessage]:
    """The welcome is the only text that a shop may do without."""
    for kind in TextKind:
        languages = {language for each, language in there if each == kind}
        if kind == TextKind.WELCOME or settings.LANGUAGE_CODE in languages:
            continue
        yield WarningMessage(
            f"The text {kind} is not written"
            + (f" in the shop's language ({settings.LANGUAGE_CODE})." if languages else "."),
            hint=WHERE,
            id="texts.W001",
        )
