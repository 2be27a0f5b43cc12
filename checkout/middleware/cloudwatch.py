"""Web processes have no loop of their own, so they tell CloudWatch their figures after a request.
The load balancer's probes come every few seconds."""

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

from checkout.orders.operations.cloudwatch import tell_of_process

GetResponse = Callable[[HttpRequest], HttpResponse]


def tell_cloudwatch(get_response: GetResponse) -> GetResponse:
    """Middleware, which is left out where CloudWatch is told nothing."""
    if not settings.CLOUDWATCH_NAMESPACE:
        raise MiddlewareNotUsed

    def telling(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        tell_of_process("web")
        return response

    return telling
