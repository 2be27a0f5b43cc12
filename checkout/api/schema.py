"""What the OpenAPI document says beyond the code: headers, errors, examples and links."""

from collections import defaultdict
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from checkout.api import problems as p
from checkout.api.purchases.quote import QuoteSerializer
from checkout.api.purchases.wanted import LINES_AT_MOST, WantedOrder, WantedQuote
from checkout.api.responses import OrderSerializer
from checkout.api.serializers import (
    MoneyProblemSerializer,
    ProblemSerializer,
    ProductSerializer,
    WantedPayment,
)
from checkout.orders.ways_to_pay.web_side import web_side


def _example_method() -> str:
    """The example is the first gateway's. A system check tells of one that cannot be loaded."""
    try:
        return web_side().example_method
    except ImportError:
        return ""


EXAMPLE_METHOD = _example_method()

EXAMPLE: dict[str, Any] = {
    "lines": [{"sku": "NB-A5-DOT", "quantity": 2}],
    "email": "ada@example.com",
    "full_name": "Ada Quillfeather",
    "address": "12 Inkwell Lane",
    "city": "Cork",
    "postcode": "T12 ABC1",
    "country": "IE",
    "payment_method": EXAMPLE_METHOD,
    "expected_total": "29.00",
}

QUOTE_EXAMPLE = {name: EXAMPLE[name] for name in ("lines", "country", "postcode", "email")}

GOOD_KEY = r'^("[ !#-\[\]-~]{1,255}"|[!#-+\--\[\]-~]{1,255})$'
KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": GOOD_KEY},
    OpenApiParameter.HEADER,
    required=True,
    description=(
        "Names this request: a string that no other request of this client has, in quotes "
        "(RFC 8941) or without. It belongs to the client that sent it and lives as long as the "
        "order. Sent again with the same request, it is answered with the first answer; with "
        "another request, with 422."
    ),
)


def reference(description: str) -> OpenApiParameter:
    schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]{22}$"}
    return OpenApiParameter("reference", schema, OpenApiParameter.PATH, description=description)


def replayed(*status_codes: int) -> OpenApiParameter:
    return OpenApiParameter(
        "Idempotent-Replayed",
        {"type": "string", "const": "true"},
        OpenApiParameter.HEADER,
        description="This answer was given before: the request came again.",
        response=[*status_codes],
    )


REFERENCE = reference("The reference of one of your own orders.")
REPLAYED = replayed(200, 201, 202)
LOCATION = OpenApiParameter(
    "Location",
    {"type": "string", "format": "uri-reference"},
    OpenApiParameter.HEADER,
    description="The address of the order.",
    response=[200, 201, 202],
)
PREFER = OpenApiParameter(
    "Prefer",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description=(
        "`wait=N` (RFC 7240): answer as soon as the order is no longer `placed`, or differs from "
        "the ETag in If-None-Match, at the latest after N seconds, of which 20 are granted. If too "
        "many wait already, the answer comes at once and without Preference-Applied."
    ),
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The ETag of an earlier answer; 304 if nothing has changed since.",
)
ETAG = OpenApiParameter("ETag", OpenApiTypes.STR, OpenApiParameter.HEADER, response=[200, 304])
APPLIED = OpenApiParameter(
    "Preference-Applied", OpenApiTypes.STR, OpenApiParameter.HEADER, response=[200, 304]
)


class BearerToken(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # spectacular registers by an untyped hook
    target_class = "checkout.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A token that `manage.py create_api_client` printed, with its scopes.",
        }


def refusals(*kinds: p.Kind, money: bool = False) -> dict[Any, OpenApiResponse]:
    by_status: dict[int, list[str]] = defaultdict(list)
    for kind in (*kinds, p.NOT_ACCEPTABLE, p.TOO_MANY, p.UNAVAILABLE):
        by_status[kind.status].append(kind.slug)
    serializer = MoneyProblemSerializer if money else ProblemSerializer
    return {
        (status, p.MEDIA_TYPE): OpenApiResponse(serializer, description=", ".join(slugs))
        for status, slugs in sorted(by_status.items())
    }


ENTRANCE = (p.NOT_AUTHENTICATED, p.NOT_PERMITTED)
WITH_BODY = (*(*ENTRANCE, p.MALFORMED, p.LENGTH_REQUIRED, p.TOO_LARGE, p.UNSUPPORTED, p.INVALID),)
WITH_KEY = (p.KEY_MISSING, p.KEY_MALFORMED, p.KEY_IN_USE, p.KEY_REUSED)
POSTING = (*WITH_BODY, *WITH_KEY)

hidden = extend_schema(exclude=True)

list_products = extend_schema(
    operation_id="list_products",
    tags=["products"],
    auth=[],
    responses={200: ProductSerializer(many=True), **refusals(p.MALFORMED)},
)
quote_purchase = extend_schema(
    operation_id="quote_purchase",
    tags=["orders"],
    request=WantedQuote,
    examples=[OpenApiExample("Two notebooks", QUOTE_EXAMPLE, request_only=True)],
    responses={
        200: OpenApiResponse(QuoteSerializer, description="What it costs, stored nowhere."),
        **refusals(*WITH_BODY),
    },
)
list_orders = extend_schema(
    operation_id="list_orders",
    tags=["orders"],
    responses={200: OrderSerializer(many=True), **refusals(*ENTRANCE, p.MALFORMED)},
)
read_order = extend_schema(
    operation_id="read_order",
    tags=["orders"],
    parameters=[REFERENCE, PREFER, IF_NONE_MATCH, ETAG, APPLIED],
    responses={
        200: OrderSerializer,
        304: OpenApiResponse(description="The order is as it was."),
        **refusals(*ENTRANCE, p.NOT_FOUND),
    },
)
place_order = extend_schema(
    operation_id="place_order",
    tags=["orders"],
    parameters=[KEY, REPLAYED, LOCATION],
    request=WantedOrder,
    examples=[OpenApiExample("Two notebooks", EXAMPLE, request_only=True)],
    responses={
        201: OpenApiResponse(OrderSerializer, description="Placed; the payment is under way."),
        **refusals(*POSTING, p.OUT_OF_STOCK, p.TOTAL_NOT_PAYABLE, p.TOTAL_CHANGED, money=True),
    },
)
pay_order = extend_schema(
    operation_id="pay_order",
    tags=["orders"],
    parameters=[REFERENCE, KEY, REPLAYED, LOCATION],
    request=WantedPayment,
    examples=[
        OpenApiExample("Another card", {"payment_method": EXAMPLE_METHOD}, request_only=True)
    ],
    responses={
        202: OpenApiResponse(OrderSerializer, description="The payment is under way."),
        **refusals(*POSTING, p.NOT_FOUND, p.NOT_PAYABLE, money=True),
    },
)
cancel_order = extend_schema(
    operation_id="cancel_order",
    tags=["orders"],
    parameters=[REFERENCE, KEY, REPLAYED, LOCATION],
    request={"application/json": {"type": "object", "additionalProperties": False}},
    responses={
        200: OpenApiResponse(OrderSerializer, description="The order is cancelled already."),
        202: OpenApiResponse(
            OrderSerializer,
            description=(
                "It will be cancelled, unless it is paid first. Of a paid one nothing is sent any "
                "more, and the money goes back; it is `refunded` when the gateway has sent it."
            ),
        ),
        **refusals(*POSTING, p.NOT_FOUND, p.NOT_CANCELLABLE, money=True),
    },
)

ORDER_PATH = "/api/v1/orders/{reference}/"
OF_THE_ORDER = {"reference": "$response.body#/reference"}

# These request bodies have no other fields; see `serializers.StrictSerializer`.
STRICT = [
    *("WantedOrder", "WantedQuote", "WantedLine", "BillingAddress", "WantedPayment"),
    *("WantedShipment", "WantedShipmentLine"),
]

# Links from a response to the requests that can follow it, for readers and for schemathesis.
LINKS: dict[str, Any] = {
    "read": {
        "operationId": "read_order",
        "parameters": OF_THE_ORDER,
        "description": "Read the order.",
    },
    "pay": {
        "operationId": "pay_order",
        "parameters": OF_THE_ORDER,
        "requestBody": {"payment_method": EXAMPLE_METHOD},
        "description": "Pay with another method, should this payment be declined.",
    },
    "cancel": {
        "operationId": "cancel_order",
        "parameters": OF_THE_ORDER,
        "requestBody": {},
        "description": "Cancel the order while nothing is being paid or was sent.",
    },
}
ONE_OF_THEM = {"lines": [{"sku": "$response.body#/results/0/sku", "quantity": 1}]}
AFTER_PRODUCTS: dict[str, Any] = {
    "quote": {
        "operationId": "quote_purchase",
        "requestBody": QUOTE_EXAMPLE | ONE_OF_THEM,
        "description": "Ask what one of these products costs with its delivery.",
    },
    "buy": {
        "operationId": "place_order",
        "requestBody": EXAMPLE
        | ONE_OF_THEM
        | {"expected_total": "$response.body#/results/0/price"},
        "description": "Order one of these products, where neither delivery nor tax is added.",
    },
}
AFTER_TO_SEND: dict[str, Any] = {
    "ship": {
        "operationId": "ship_order",
        "parameters": {"reference": "$response.body#/results/0/reference"},
        "requestBody": {"tracking_number": "RR123456785IE"},
        "description": "Enter one parcel with all that is left of this order.",
    }
}
AFTER_QUOTE: dict[str, Any] = {
    "buy": {
        "operationId": "place_order",
        "requestBody": EXAMPLE
        | {
            "lines": "$request.body#/lines",
            "country": "$request.body#/country",
            "delivery_method": "$response.body#/methods/0/id",
            "expected_total": "$response.body#/methods/0/total",
        },
        "description": "Order what was quoted, by the first method. Send the code as well.",
    }
}


def postprocess(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """One of drf-spectacular's POSTPROCESSING_HOOKS: adds what it has no way to express."""
    paths, schemas = result["paths"], result["components"]["schemas"]
    for name in STRICT:
        schemas[name]["additionalProperties"] = False
    # Only a few clients may leave it out; see `expected_total` in `serializers`.
    schemas["WantedOrder"]["required"].append("expected_total")
    for name in ("WantedOrder", "WantedQuote"):
        schemas[name]["properties"]["lines"] |= {"minItems": 1, "maxItems": LINES_AT_MOST}
    paths["/api/v1/products/"]["get"]["responses"]["200"]["links"] = AFTER_PRODUCTS
    paths["/api/v1/quotes/"]["post"]["responses"]["200"]["links"] = AFTER_QUOTE
    schemas["WantedShipment"]["properties"]["lines"] |= {"minItems": 1}
    paths["/api/v1/to-send/"]["get"]["responses"]["200"]["links"] = AFTER_TO_SEND
    paths["/api/v1/orders/"]["post"]["responses"]["201"]["links"] = LINKS
    for action, status in [("pay", "202"), ("cancel", "202"), ("cancel", "200")]:
        response = paths[f"{ORDER_PATH}{action}/"]["post"]["responses"][status]
        response["links"] = {"read": LINKS["read"]}
    return result
