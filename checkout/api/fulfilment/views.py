"""The views of the API for a warehouse: every order that is to be sent, and the parcels."""

from typing import Any, ClassVar

from django.db import transaction
from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from checkout.api import problems
from checkout.api.base_view import ApiView, body_of, idempotent_request
from checkout.api.fulfilment import schema
from checkout.api.fulfilment.shipments import SentSerializer
from checkout.api.fulfilment.to_send import ToSendSerializer
from checkout.api.fulfilment.wanted import WantedShipment, must_be_lines_of
from checkout.api.idempotency import IdempotentRequest, claim_key
from checkout.api.pagination import IdPagination
from checkout.api.problems import Problem
from checkout.api.request_fields import validated_data
from checkout.api.responses import REPLAYED_HEADER
from checkout.api.views import once
from checkout.models import ApiRequest, Scope
from checkout.orders.dispatch.ship import CannotShip, ship
from checkout.orders.dispatch.to_send import lines_to_send, orders_to_send
from checkout.orders.models import Order, Shipment
from checkout.orders.states import OrderStatus
from checkout.runtime.clock import database_now

# What `ship` refuses an order for → the problem that says so.
REFUSED = {
    "unpaid": problems.NOT_PAID,
    "held": problems.ORDER_HELD,
    "refunded": problems.ORDER_TAKEN_BACK,
    "cancelled": problems.ORDER_TAKEN_BACK,
    "sent": problems.ALREADY_SENT,
    "lapsed": problems.NOT_PAID,
    "too_many": problems.TOO_MANY_PIECES,
    "one_parcel": problems.ONE_PARCEL_ONLY,
    "key_reused": problems.KEY_REUSED,
}


class ToSendList(ApiView, ListAPIView[Order]):
    scopes: ClassVar = {"GET": Scope.FULFIL, "HEAD": Scope.FULFIL}
    serializer_class = ToSendSerializer
    pagination_class = IdPagination

    def get_queryset(self) -> QuerySet[Order]:
        return orders_to_send().prefetch_related("lines")

    @schema.list_to_send
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """All paid orders of the shop with something left to send, oldest first."""
        return super().get(request, *args, **kwargs)


class ShipOrder(ApiView):
    scopes: ClassVar = {"POST": Scope.FULFIL}

    @schema.ship_order
    def post(self, request: Request, reference: str) -> Response:
        """Enter a parcel that was handed to its carrier, once, however often this is sent with the
        same key. Its customer is mailed the tracking number."""
        asked = idempotent_request(request, ApiRequest.Operation.SHIP, reference)
        order = Order.objects.filter(reference=reference).first()
        if order is None:
            raise NotFound
        return once(asked, lambda: _ship(request, asked, order), _replayed)


def _ship(request: Request, asked: IdempotentRequest, order: Order) -> Response:
    now, body = database_now(), body_of(request)
    wanted = validated_data(WantedShipment(data=body))
    quantities = wanted.get("lines")
    must_be_lines_of(order, quantities, body)
    try:
        with transaction.atomic():
            status = OrderStatus(order.status)
            claim_key(asked, order.checkout_id, status_code=201, order_status=status, now=now)
            shipment = ship(
                order,
                quantities,
                key=_key_of(asked),
                tracking_number=wanted.get("tracking_number", ""),
                method=wanted.get("method", ""),
                by=request.user.get_username(),
                now=now,
            )
    except CannotShip as refused:
        raise _problem_of(refused, order) from None
    return Response(SentSerializer(shipment).data, status=201)


def _key_of(asked: IdempotentRequest) -> str:
    """The parcel's own key. No parcel that is entered elsewhere has one of this form."""
    return f"api:{asked.checkout_id}"


def _problem_of(refused: CannotShip, order: Order) -> Problem:
    kind = REFUSED[refused.code]
    if kind is not problems.TOO_MANY_PIECES:
        return Problem(kind)
    left = [{"id": each.pk, "to_send": each.to_send} for each in lines_to_send(order)]
    return Problem(kind, lines=left)


def _replayed(earlier: ApiRequest, asked: IdempotentRequest) -> Response:
    """The parcel as the first request with this key was told of it."""
    if not asked.is_repeat_of(earlier):
        raise Problem(problems.KEY_REUSED)
    shipment = Shipment.objects.select_related("order").get(key=_key_of(asked))
    headers = {REPLAYED_HEADER: "true"}
    return Response(SentSerializer(shipment).data, status=earlier.status_code, headers=headers)
