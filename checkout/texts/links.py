"""The links to the shop's texts: in every footer, and before the button that orders."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from checkout.texts.models import TextKind
from checkout.texts.read import known_texts

# The delivery text stands on the page of delivery prices, which is always linked.
FOOTER = {
    TextKind.IMPRINT: _("Imprint"),
    TextKind.TERMS: _("Terms"),
    TextKind.PRIVACY: _("Privacy"),
    TextKind.WITHDRAWAL: _("Right of withdrawal"),
}
# What German law has a customer find before the button.
BEFORE_ORDERING = (TextKind.TERMS, TextKind.PRIVACY, TextKind.WITHDRAWAL)


@dataclass(frozen=True)
class TextLink:
    kind: TextKind
    address: str
    words: str | Promise


def text_links(*, before_ordering: bool = False, asks_database: bool = True) -> list[TextLink]:
    """Those that the shop has written, in the order of the footer."""
    written = {text.kind for text in known_texts(asks_database=asks_database)}
    if before_ordering:
        written &= {*BEFORE_ORDERING}
    return [
        TextLink(kind, reverse("text", args=[kind.value]), words)
        for kind, words in FOOTER.items()
        if kind in written
    ]
