"""Requests with bytes that nobody types and no column can store are refused unread."""

from urllib.parse import unquote

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from checkout.middleware.safe_methods import GetResponse
from checkout.middleware.wsgi import UNREADABLE, has_charset
from checkout.views.error_pages import bad_request


def refuse_unreadable(get_response: GetResponse) -> GetResponse:
    """Middleware that answers 400 to a NUL in the address, and to a body in an unknown charset.

    A NUL inside a form is refused by its field, so that what was typed is kept. A broken cookie is
    not refused: it would shut its visitor out for as long as the browser keeps it.
    """

    def read(request: HttpRequest) -> HttpResponseBase:
        query = request.META.get("QUERY_STRING", "")
        if "\0" in request.path_info or "\0" in unquote(query):
            return bad_request(request)
        if request.META.get(UNREADABLE) or not has_charset(request.META.get("CONTENT_TYPE", "")):
            request.encoding = "utf-8"
            return bad_request(request)
        return get_response(request)

    return read
