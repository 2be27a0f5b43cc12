"""A text as staff type it becomes HTML: paragraphs, headings, lists and links, and nothing else.

Whatever looks like HTML in it is shown as it was typed, so nobody who may edit texts can bring a
script, a form or a style into the shop's pages.
"""

import re

from django.utils.html import urlize
from django.utils.safestring import SafeString, mark_safe

ITEM = "- "
HEADING = "# "


def html_of(body: str, *, heading: str = "h2") -> SafeString:
    blocks = re.split(r"\n\s*\n", body.replace("\r\n", "\n").strip())
    parts = [part for block in blocks for part in _parts(block, heading)]
    return mark_safe("\n".join(parts))  # noqa: S308 - each part is escaped


def _parts(block: str, heading: str) -> list[str]:
    """A block is a run of lines without an empty one. Its headings and items each have a line."""
    parts: list[str] = []
    kind_before = ""
    for line in block.splitlines():
        kind = next((kind for kind in (HEADING, ITEM) if line.startswith(kind)), "")
        words = _inline(line.removeprefix(kind))
        if kind == HEADING:
            parts.append(f"<{heading}>{words}</{heading}>")
        elif parts and kind == kind_before:
            parts[-1] = _longer(parts[-1], kind, words)
        else:
            parts.append(f"<ul><li>{words}</li></ul>" if kind == ITEM else f"<p>{words}</p>")
        kind_before = kind
    return parts


def _longer(part: str, kind: str, words: str) -> str:
    """The list with one more item, or the paragraph with one more line, as in a postal address."""
    if kind == ITEM:
        return f"{part.removesuffix('</ul>')}<li>{words}</li></ul>"
    return f"{part.removesuffix('</p>')}<br>{words}</p>"


def _inline(text: str) -> str:
    return str(urlize(text.strip(), autoescape=True))
