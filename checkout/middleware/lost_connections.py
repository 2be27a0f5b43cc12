"""A request whose database connection turns out to be dead, or to lead to a server that takes no
writes any more, is answered over a new one.

A page that only shows something is simply made again. A request that changes something is made
again only if nothing was committed for it: then nothing of it is stored. After a COMMIT was sent
nobody can tell whether it arrived, so it is not made again here; placing an order, which can tell
by its checkout id, repeats itself.
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

# A larger body is not kept for a second try. A form of the shop has less than ten thousand bytes.
KEPT_BYTES = 64 * 1024

# The request's attribute that says how many COMMITs the connection had sent when its try began.
BEGAN_AT = "_commits_before"


class RepeatOverANewConnection:
    """Middleware, the last of the list: a view is called by it only after all others agreed."""

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
    """Whether whoever turns errors into answers is to raise this one instead."""
    began_at = getattr(request, BEGAN_AT, None)
    if began_at is None or connection.in_atomic_block or not is_lost_connection(error):
        return False
    return request.method in SAFE or began_at == _commits()


def _commits() -> int:
    return int(getattr(connection, "commits", 0))


def _can_be_read_twice(request: HttpRequest) -> bool:
    """A body comes over the wire once, so a small one is kept; most were read by the check against
    forged requests already."""
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
    """The response with its page: the admin's are rendered late, and ask the database meanwhile."""
    render = getattr(response, "render", None)
    return render() if callable(render) else response


def _forget_what_was_not_stored(request: HttpRequest) -> None:
    """The session of the first try may name a cart whose transaction was rolled back."""
    session = getattr(request, "session", None)
    if session is not None and session.session_key:
        request.session = session.__class__(session.session_key)
