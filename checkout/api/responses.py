"""Responses about an order: the first one, and the same again for a repeated request."""

import copy

from django.urls import reverse
from rest_framework.response import Response

from checkout.api.idempotency import IdempotentRequest
from checkout.api.problems import KEY_REUSED, Problem
from checkout.api.serializers import OrderSerializer, charged
from checkout.models import ApiRequest
from checkout.orders.models import Order
from checkout.orders.money.facts import MoneyFacts
from checkout.orders.placing.place import absorb_resubmission
from checkout.orders.states import OrderStatus
from checkout.runtime.clock import database_now

REPLAYED_HEADER = "Idempotent-Replayed"


def order_response(order: Order, *, status_code: int, order_status: OrderStatus) -> Response:
    """The order in the status it had when the request was first done, whatever came since."""
    then = copy.copy(order)
    then.status, then.action_url, then.refunded_minor = order_status, "", 0
    serializer = OrderSerializer(then)
    # A request that leaves an order in any other status than cancelled has charged nothing yet.
    if order_status != OrderStatus.CANCELLED:
        facts = MoneyFacts(status=order_status, total_minor=order.total_minor)
        serializer.known_facts = {order.pk: facts}
    location = reverse("api_order", args=[order.reference])
    return Response(serializer.data, status=status_code, headers={"Location": location})


def replayed_response(earlier: ApiRequest, asked: IdempotentRequest) -> Response:
    """What the first request with this key was answered, or a refusal if this one asks for
    something else. The repetition is counted on the order."""
    if earlier.operation == ApiRequest.Operation.PLACE == asked.operation:
        absorb_resubmission(earlier.order, [asked.fingerprint], now=database_now())
    if not asked.is_repeat_of(earlier):
        raise Problem(KEY_REUSED, charged=charged(earlier.order))
    response = order_response(
        earlier.order,
        status_code=earlier.status_code,
        order_status=OrderStatus(earlier.order_status),
    )
    response.headers[REPLAYED_HEADER] = "true"
    return response
