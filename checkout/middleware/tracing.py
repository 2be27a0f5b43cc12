"""A trace begins with a request, or with the proxy in front of it."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from checkout.runtime import spans, trace

GetResponse = Callable[[HttpRequest], HttpResponse]


def trace_requests(get_response: GetResponse) -> GetResponse:
    """Middleware. A `traceparent` is believed only where all requests come through our proxies: a
    client that could choose an id could make its purchase look like somebody else's."""

    def traced(request: HttpRequest) -> HttpResponse:
        given = request.headers.get("traceparent", "") if settings.TRUSTED_PROXY_COUNT else ""
        with trace.span("request", given, method=request.method or ""):
            response = get_response(request)
            response.headers["X-Request-ID"] = trace.trace_id()
            # The route is the pattern, not the address: addresses contain references of orders.
            route = request.resolver_match.route if request.resolver_match else ""
            spans.set_attributes(route=route, status=response.status_code)
            return response

    return traced
