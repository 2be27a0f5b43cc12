"""Parcels as they are told: of an order's own, and as the answer to who sent one."""

from collections import defaultdict
from collections.abc import Iterable

from django.db.models import Prefetch
from rest_framework import serializers

from checkout.orders.models import Order, Shipment, ShipmentLine
from checkout.orders.states import DispatchStatus

# An order in another status has no parcel on its way, so that it need not be asked for any.
WITH_PARCELS = [DispatchStatus.PARTLY_SENT, DispatchStatus.SENT, DispatchStatus.RETURNED]


class ShipmentLineSerializer(serializers.ModelSerializer[ShipmentLine]):
    id = serializers.IntegerField(source="line_id", help_text="The id of the order's line.")
    sku = serializers.CharField(source="line.sku")

    class Meta:
        model = ShipmentLine
        fields = ["id", "sku", "quantity"]


class ShipmentSerializer(serializers.ModelSerializer[Shipment]):
    tracking_number = serializers.CharField(help_text="Empty: the carrier gave none.")
    tracking_link = serializers.CharField(
        help_text="Where the carrier shows the parcel. Empty: there is no such page."
    )
    method = serializers.CharField(help_text="How it was sent, as its name was then.")
    lines = ShipmentLineSerializer(many=True)

    class Meta:
        model = Shipment
        fields = ["id", "method", "tracking_number", "tracking_link", "sent_at", "lines"]


class SentSerializer(ShipmentSerializer):
    """A parcel with the order that it belongs to."""

    number = serializers.CharField(source="order.number")
    reference = serializers.CharField(source="order.reference")

    class Meta(ShipmentSerializer.Meta):
        fields = ["number", "reference", *ShipmentSerializer.Meta.fields]


def parcels_of(orders: Iterable[Order]) -> dict[int, list[Shipment]]:
    """The parcels of these orders, but for those that were marked as sent by mistake: at most two
    statements, and none where nothing was sent."""
    parcels: dict[int, list[Shipment]] = defaultdict(list)
    if sent := [order.pk for order in orders if order.dispatch_status in WITH_PARCELS]:
        kept = Shipment.objects.filter(order__in=sent, undone_at=None)
        lines = Prefetch("lines", ShipmentLine.objects.select_related("line"))
        for shipment in kept.prefetch_related(lines).order_by("pk"):
            parcels[shipment.order_id].append(shipment)
    return parcels
