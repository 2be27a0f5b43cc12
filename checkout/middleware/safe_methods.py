"""The safe methods, which change nothing (RFC 9110, 9.2.1)."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponsePermanentRedirect
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class AppendSlash(CommonMiddleware):
    """Redirects only safe requests to the address with a slash. A form would arrive there as a GET,
    without what was typed; so it gets a 404, which says that nothing was done.

    A probe is not asked for its host: a load balancer puts the process's own address there.
    """

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        if request.path_info.removeprefix("/") in settings.PROBES:
            return None
        return super().process_request(request)

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
