"""A request whose database connection is dead, or leads to a read-only server, gets a new one.

A request that only shows something is simply done again. One that changes something is done again
only if nothing was committed for it, since then nothing of it is stored. After a COMMIT was sent
nobody can tell whether it arrived, so the request is not repeated here; placing an order, which can
tell by its checkout id, repeats itself.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import connection
from django.http import HttpRequest, UnreadablePostError
from django.http.response import HttpResponseBase

from checkout.middleware.safe_methods import SAFE
from checkout.runtime.database import CONNECTION_ERRORS, is_lost_connection

logger = logging.getLogger(__name__)

View = Callable[..., HttpResponseBase]

# A larger body is not kept for a second try. The shop's forms have less than ten thousand bytes.
KEPT_BYTES = 64 * 1024

# The request's attribute for how many COMMITs the connection had sent when the try began.
BEGAN_AT = "_commits_before"


class RepeatOverANewConnection:
    """Middleware, the last of the list, so that it calls a view only after all others agreed."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_view(
        self, request: HttpRequest, view: View, args: list[Any], kwargs: dict[str, Any]
    ) -> HttpResponseBase:
        return over_a_living_connection(view)(request, *args, **kwargs)


def over_a_living_connection(view: View) -> View:
    @wraps(view)
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if connection.in_atomic_block or not _can_be_read_twice(request):
            return view(request, *args, **kwargs)
        setattr(request, BEGAN_AT, _commits())
        try:
            return _complete(view(request, *args, **kwargs))
        except CONNECTION_ERRORS as error:
            if not will_be_repeated(request, error):
                raise
            logger.warning("A request lost its database connection", exc_info=True)
        finally:
            delattr(request, BEGAN_AT)
        connection.close()
        _forget_what_was_not_stored(request)
        return _complete(view(request, *args, **kwargs))

    return answered


def will_be_repeated(request: HttpRequest, error: BaseException) -> bool:
    """Whether code that turns errors into responses must raise this one instead."""
    began_at = getattr(request, BEGAN_AT, None)
    if began_at is None or connection.in_atomic_block or not is_lost_connection(error):
        return False
    return request.method in SAFE or began_at == _commits()


def _commits() -> int:
    return int(getattr(connection, "commits", 0))


def _can_be_read_twice(request: HttpRequest) -> bool:
    """A body can be read only once, so a small one is kept; the CSRF check has read most."""
    if request.method in SAFE:
        return True
    length = str(request.META.get("CONTENT_LENGTH") or "0")
    if not (length.isascii() and length.isdecimal()) or len(length) > 9 or int(length) > KEPT_BYTES:
        return False
    if not hasattr(request, "_post"):
        try:
            request.body  # noqa: B018 - reads it, and Django keeps it
        except UnreadablePostError:
            return False
    return True


def _complete(response: HttpResponseBase) -> HttpResponseBase:
    """Render the page now: those of the admin are rendered late, and query the database then."""
    render = getattr(response, "render", None)
    return render() if callable(render) else response


def _forget_what_was_not_stored(request: HttpRequest) -> None:
    """Read the session again: it may name a cart whose transaction was rolled back."""
    session = getattr(request, "session", None)
    if session is not None and session.session_key:
        request.session = session.__class__(session.session_key)
