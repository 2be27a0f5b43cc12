"""The safe methods, which change nothing (RFC 9110, 9.2.1)."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class AppendSlash(CommonMiddleware):
    """Redirects only safe requests to the address with a slash. A form would arrive there as a GET,
    without what was typed; so it gets a 404, which says that nothing was done."""

    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        return request.method in SAFE and super().should_redirect_with_slash(request)


def keep_session_on_head(get_response: GetResponse) -> GetResponse:
    """Middleware inside the one for sessions. A HEAD is answered like a GET but stores nothing:
    scanners of mails and proxies send it to links that open an order."""

    def answered(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if request.method == "HEAD":
            request.session.modified = False
        return response

    return answered
