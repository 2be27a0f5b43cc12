"""A form that was sent unencrypted is refused, and told why.

A redirect would be worse: a client may follow it with GET (RFC 9110, 15.4.2), which answers 200 for
a purchase that nobody stored.
"""

import re

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation

from checkout.middleware.safe_methods import SAFE, GetResponse
from checkout.views.error_pages import https_required


def refuse_unsafe_over_plain_http(get_response: GetResponse) -> GetResponse:
    """Middleware before Django's own, which is left to redirect the requests that only read."""

    def encrypted(request: HttpRequest) -> HttpResponseBase:
        if request.method in SAFE or request.is_secure() or not settings.SECURE_SSL_REDIRECT:
            return get_response(request)
        path = request.path.lstrip("/")
        if any(re.search(exempt, path) for exempt in settings.SECURE_REDIRECT_EXEMPT):
            return get_response(request)
        # The middleware that chooses the language comes later.
        with translation.override(translation.get_language_from_request(request)):
            return https_required(request)

    return encrypted
