"""What the OpenAPI document says of the requests of a warehouse, beyond the code."""

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from checkout.api import problems as p
from checkout.api.fulfilment.shipments import SentSerializer
from checkout.api.fulfilment.to_send import ToSendSerializer
from checkout.api.fulfilment.wanted import WantedShipment
from checkout.api.schema import ENTRANCE, KEY, POSTING, refusals

OTHERS_REFERENCE = OpenApiParameter(
    "reference",
    {"type": "string", "pattern": "^[A-Za-z0-9_-]{22}$"},
    OpenApiParameter.PATH,
    description="The reference of any order, as `to-send/` tells it.",
)
REPLAYED = OpenApiParameter(
    "Idempotent-Replayed",
    {"type": "string", "const": "true"},
    OpenApiParameter.HEADER,
    description="This answer was given before: the request came again.",
    response=[201],
)
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
