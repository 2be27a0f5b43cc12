"""Orders as a warehouse sees them: where they go, and what of them is still to be sent."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from checkout.orders.models import Order, OrderLine
from checkout.orders.states import DispatchStatus


class LineToSendSerializer(serializers.ModelSerializer[OrderLine]):
    to_send = serializers.IntegerField(
        help_text="How many of `quantity` are neither sent nor taken back."
    )

    class Meta:
        model = OrderLine
        fields = ["id", "sku", "name", "quantity", "to_send"]


class MethodSerializer(serializers.Serializer[Any]):
    method = serializers.CharField(help_text="Its id. Staff may have removed it since.")
    name = serializers.CharField(help_text="As it was when the order was placed.")


class ToSendSerializer(serializers.ModelSerializer[Order]):
    """What a carrier needs, by the names that the request to place an order has. What was paid, by
    which e-mail address and with which bill is no matter of the parcel."""

    dispatch_status = serializers.ChoiceField(
        [DispatchStatus.UNSENT, DispatchStatus.PARTLY_SENT], help_text="Whether a part was sent."
    )
    delivery = serializers.SerializerMethodField(help_text="null: nothing was to be chosen.")
    lines = serializers.SerializerMethodField(help_text="Those with something left to send.")

    class Meta:
        model = Order
        fields = [
            *("number", "reference", "placed_at", "dispatch_status", "delivery"),
            *("full_name", "company", "address", "address2", "city", "region", "postcode"),
            *("country", "phone", "lines"),
        ]

    @extend_schema_field(MethodSerializer(allow_null=True))
    def get_delivery(self, order: Order) -> dict[str, str] | None:
        if not order.delivery_method:
            return None
        return {"method": order.delivery_method, "name": order.delivery_name}

    @extend_schema_field(LineToSendSerializer(many=True))
    def get_lines(self, order: Order) -> Any:
        left = [line for line in order.lines.all() if line.to_send]
        return LineToSendSerializer(left, many=True).data
