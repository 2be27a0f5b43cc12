"""What a warehouse says of a parcel, read strictly."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from checkout.api.request_fields import StrictCharField, StrictIntegerField, StrictSerializer
from checkout.models import MAX_QUANTITY
from checkout.orders.models import Order, Shipment


class WantedShipmentLine(StrictSerializer):
    id = StrictIntegerField(min_value=1, help_text="The line's id, as `to-send/` tells it.")
    quantity = StrictIntegerField(min_value=1, max_value=MAX_QUANTITY)


class WantedShipment(StrictSerializer):
    """A parcel that was handed to its carrier."""

    lines = WantedShipmentLine(
        many=True,
        required=False,
        allow_empty=False,
        help_text="What is in the parcel. Left out: all that is left to send.",
    )
    tracking_number = StrictCharField(
        required=False,
        allow_blank=True,
        max_length=Shipment._meta.get_field("tracking_number").max_length,
        help_text="The carrier's number of the parcel, if it has one.",
    )
    method = StrictCharField(
        required=False,
        allow_blank=True,
        max_length=Shipment._meta.get_field("method").max_length,
        help_text="How it was sent, if not by the method that the order names.",
    )

    def validate_lines(self, lines: list[dict[str, int]]) -> dict[int, int]:
        ids = [line["id"] for line in lines]
        if len(set(ids)) < len(ids):
            raise serializers.ValidationError(
                [
                    {"id": ["This line is named twice."]} if each in ids[:place] else {}
                    for place, each in enumerate(ids)
                ]
            )
        return {line["id"]: line["quantity"] for line in lines}


def must_be_lines_of(order: Order, quantities: Mapping[int, int] | None, body: Any) -> None:
    """Refuse a line of another order by its place in the request."""
    known = set(order.lines.values_list("pk", flat=True))
    wrong = set(quantities or ()) - known
    if not wrong:
        return
    errors: list[dict[str, Any]] = [
        {"id": ["This order has no such line."]} if line["id"] in wrong else {}
        for line in body["lines"]
    ]
    raise serializers.ValidationError({"lines": errors})
