"""A parser of JSON that refuses what two programs could read in two ways."""

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from checkout.api.problems import LENGTH_REQUIRED, MALFORMED, TOO_LARGE, Problem

# An order of fifty lines and an address has less than ten thousand bytes.
MAX_BODY_BYTES = 64 * 1024


class StrictJSONParser(BaseParser):
    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read(MAX_BODY_BYTES + 1)
        try:
            return json.loads(
                body.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant
            )
        except RecursionError:
            raise Problem(MALFORMED, "The JSON is nested too deeply.") from None
        except ValueError:
            raise Problem(MALFORMED, "The body is no JSON, in UTF-8, with unique names.") from None


def check_length(meta: Mapping[str, Any]) -> None:
    """Refuse a body that is too long, or of unknown length, before any of it is read. A body in
    chunks has no length, and WSGI servers differ in how they pass it on."""
    if meta.get("HTTP_TRANSFER_ENCODING"):
        raise Problem(LENGTH_REQUIRED)
    length = str(meta.get("CONTENT_LENGTH") or "0")
    if not (length.isascii() and length.isdecimal()):
        raise Problem(LENGTH_REQUIRED)
    if len(length) > 9 or int(length) > MAX_BODY_BYTES:
        raise Problem(TOO_LARGE)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("A name occurs twice.")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not in JSON.")
