"""The last touch to the OpenAPI document: what drf-spectacular has no words for."""

from typing import Any

from checkout.api.schema import EXAMPLE
from checkout.api.serializers import LINES_AT_MOST

ORDER = "/api/v1/orders/{reference}/"
OF_THE_ORDER = {"reference": "$response.body#/reference"}

# What comes in has no other fields; see `serializers.Strict`.
STRICT = ["WantedOrder", "WantedLine", "WantedPayment"]

# From an answer to what can be asked next: for people who read on, and for schemathesis.
LINKS: dict[str, Any] = {
    "read": {
        "operationId": "read_order",
        "parameters": OF_THE_ORDER,
        "description": "What became of it.",
    },
    "pay": {
        "operationId": "pay_order",
        "parameters": OF_THE_ORDER,
        "requestBody": {"payment_method": "pm_card_visa"},
        "description": "With another method, should this payment be declined.",
    },
    "cancel": {
        "operationId": "cancel_order",
        "parameters": OF_THE_ORDER,
        "requestBody": {},
        "description": "While it waits for its customer.",
    },
}
BUY: dict[str, Any] = {
    "buy": {
        "operationId": "place_order",
        "requestBody": EXAMPLE
        | {
            "lines": [{"sku": "$response.body#/results/0/sku", "quantity": 1}],
            "expected_total": "$response.body#/results/0/price",
        },
        "description": "One of them.",
    }
}


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    paths, schemas = result["paths"], result["components"]["schemas"]
    for name in STRICT:
        schemas[name]["additionalProperties"] = False
    # Optional for a few clients alone; see `expected_total` in `serializers`.
    schemas["WantedOrder"]["required"].append("expected_total")
    schemas["WantedOrder"]["properties"]["lines"] |= {"minItems": 1, "maxItems": LINES_AT_MOST}
    paths["/api/v1/products/"]["get"]["responses"]["200"]["links"] = BUY
    paths["/api/v1/orders/"]["post"]["responses"]["201"]["links"] = LINKS
    for step, status in [("pay", "202"), ("cancel", "202"), ("cancel", "200")]:
        answer = paths[f"{ORDER}{step}/"]["post"]["responses"][status]
        answer["links"] = {"read": LINKS["read"]}
    return result
