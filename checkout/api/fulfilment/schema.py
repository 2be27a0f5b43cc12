"""What the OpenAPI document says of the requests of a warehouse, beyond the code."""

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema

from checkout.api import problems as p
from checkout.api.fulfilment.shipments import SentSerializer
from checkout.api.fulfilment.to_send import ToSendSerializer
from checkout.api.fulfilment.wanted import WantedShipment
from checkout.api.schema import ENTRANCE, KEY, POSTING, reference, refusals, replayed

OTHERS_REFERENCE = reference("The reference of any order, as `to-send/` tells it.")
REPLAYED = replayed(201)
EXAMPLE = {"lines": [{"id": 1, "quantity": 1}], "tracking_number": "RR123456785IE"}
NOT_SENT = (p.NOT_PAID, p.ORDER_HELD, p.ORDER_TAKEN_BACK, p.ALREADY_SENT, p.TOO_MANY_PIECES)

list_to_send = extend_schema(
    operation_id="list_to_send",
    tags=["fulfilment"],
    responses={200: ToSendSerializer(many=True), **refusals(*ENTRANCE, p.MALFORMED)},
)
ship_order = extend_schema(
    operation_id="ship_order",
    tags=["fulfilment"],
    parameters=[OTHERS_REFERENCE, KEY, REPLAYED],
    request=WantedShipment,
    examples=[OpenApiExample("One of two notebooks", EXAMPLE, request_only=True)],
    responses={
        201: OpenApiResponse(SentSerializer, description="The parcel is entered."),
        **refusals(*POSTING, p.NOT_FOUND, *NOT_SENT),
    },
)
