"""Makes what a WSGI server passes on readable for Django.

Django reads a body only by its length, takes one that was cut off for a whole one, and fails on an
unknown charset before any middleware runs.
"""

import codecs
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from django.utils.http import parse_header_parameters

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# A longer body in chunks is refused, and a longer one with a length is left to its reader: the API
# and the gateway's events end at 64 KiB, and Django reads no form above 2.5 MB.
AT_MOST = 2_621_440
WHOLE_UP_TO = 64 * 1024

# The charsets that a body may be written in. Others of Python's codecs, as `hex`, decode no text.
CHARSETS = {"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252"}

# The key of the WSGI environment that says why `refuse_unreadable` refuses the request.
UNREADABLE = "shop.unreadable"


class CutOff(Exception):
    """The client promised more than it sent."""


class TooLarge(Exception):
    """The body in chunks is longer than any reader here accepts."""


def readable_by_django(application: "WSGIApplication") -> "WSGIApplication":
    def serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if not has_charset(environ.get("CONTENT_TYPE", "")):
            environ["CONTENT_TYPE"], environ[UNREADABLE] = "application/octet-stream", True
        try:
            body = _body(environ)
        except CutOff:
            return _refuse(start_response, "400 Bad Request", "The request was cut off.")
        except TooLarge:
            return _refuse(start_response, "413 Content Too Large", "The request is too large.")
        if body is not None:
            environ["wsgi.input"] = BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
        return application(environ, start_response)

    return serve


def has_charset(content_type: str) -> bool:
    """Whether it names no charset, or one that texts are written in."""
    try:
        name = parse_header_parameters(content_type)[1].get("charset")
        return name is None or codecs.lookup(name).name in CHARSETS
    except (LookupError, ValueError):
        return False


def _body(environ: "WSGIEnvironment") -> bytes | None:
    """The body, or None where it is left to be read later."""
    source, length = environ["wsgi.input"], environ.get("CONTENT_LENGTH") or ""
    if length.isascii() and length.isdecimal() and len(length) < 10:
        wanted = int(length)
        if not 0 < wanted <= WHOLE_UP_TO:
            return None
        body = _read(source, wanted)
        if len(body) < wanted:
            raise CutOff
        return body
    # Without this flag the stream does not end with the body, and reading would wait for ever.
    if environ.get("HTTP_TRANSFER_ENCODING") and environ.get("wsgi.input_terminated"):
        body = _read(source, AT_MOST + 1)
        if len(body) > AT_MOST:
            raise TooLarge
        return body
    return None


def _read(source: Any, at_most: int) -> bytes:
    try:
        return bytes(source.read(at_most))
    except (OSError, ValueError) as error:  # broken chunks, or the client is gone
        raise CutOff from error


def _refuse(start_response: "StartResponse", status: str, sentence: str) -> Iterable[bytes]:
    """Answer without Django, and so in one language."""
    text = f"{sentence} Nothing of it was read: nothing was stored, ordered or charged.\n".encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(text)))]
    start_response(status, [*headers, ("Cache-Control", "no-store"), ("Connection", "close")])
    return [text]
