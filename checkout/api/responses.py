"""Answers about an order, the first time and when they are asked for again."""

import copy

from django.urls import reverse
from rest_framework.response import Response

from checkout.api.idempotency import Asked
from checkout.api.problems import KEY_REUSED, Problem
from checkout.api.serializers import OrderSerializer, charged
from checkout.models import ApiRequest
from checkout.orders.models import Order
from checkout.orders.money.facts import MoneyFacts
from checkout.orders.placing.place import absorb_resubmission
from checkout.orders.states import OrderStatus
from checkout.runtime.clock import database_now

REPLAYED = "Idempotent-Replayed"


def order_answer(order: Order, *, status: int, told: OrderStatus) -> Response:
    """The order in the status that this answer tells, whatever became of it meanwhile."""
    then = copy.copy(order)
    then.status, then.action_url, then.refunded_minor = told, "", 0
    serializer = OrderSerializer(then)
    if told != OrderStatus.CANCELLED:  # nothing was charged when an order came to any other status
        serializer.known_facts = {
            order.pk: MoneyFacts(status=told, total_minor=order.total_minor),
        }
    location = reverse("api_order", args=[order.reference])
    return Response(serializer.data, status=status, headers={"Location": location})


def answer_again(earlier: ApiRequest, asked: Asked) -> Response:
    """What the first request with this key was answered; a refusal if this one asks for another
    thing. Its order remembers that it came again."""
    if earlier.operation == ApiRequest.Operation.PLACE == asked.operation:
        absorb_resubmission(earlier.order, asked.fingerprint, now=database_now())
    if not asked.is_repeat_of(earlier):
        raise Problem(KEY_REUSED, charged=charged(earlier.order))
    told = OrderStatus(earlier.order_status)
    response = order_answer(earlier.order, status=earlier.status_code, told=told)
    response.headers[REPLAYED] = "true"
    return response
