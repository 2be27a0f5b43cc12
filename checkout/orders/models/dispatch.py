"""Parcels that were sent, and goods that came back."""

from django.db import models

from checkout.orders.models.lines import OrderLine
from checkout.orders.models.order import Order, OrderEvent

LONGEST_TRACKING_NUMBER = 80


class Shipment(models.Model):
    """One parcel of an order. A parcel that was marked as sent by mistake keeps its row."""

    order = models.ForeignKey(Order, models.PROTECT, related_name="shipments")
    # Made with the form, sent with the request or made of the file's row: one key, one parcel.
    key = models.CharField(max_length=100, editable=False)
    # The method's name as it was then, the number that the carrier gave, and the address of the
    # page on which the carrier shows the parcel. Each is empty where there is none.
    method = models.CharField(max_length=80, blank=True)
    tracking_number = models.CharField(max_length=LONGEST_TRACKING_NUMBER, blank=True)
    tracking_link = models.CharField(max_length=500, blank=True)
    event = models.OneToOneField(OrderEvent, models.PROTECT, related_name="shipment")
    # The name that the person signs in with, or the API client's.
    sent_by = models.CharField(max_length=150)
    sent_at = models.DateTimeField()
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["key"], name="orders_shipment_key_uniq"),
        ]
        indexes = [
            # Staff look for the order of a parcel that came back.
            models.Index(
                fields=["tracking_number"],
                condition=~models.Q(tracking_number=""),
                name="orders_shipment_tracking_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"Parcel {self.pk}"

    @property
    def web_link(self) -> str:
        """The tracking link, if it is one of the web: staff type where carriers show parcels."""
        is_web = self.tracking_link.startswith(("https://", "http://"))
        return self.tracking_link if is_web else ""


class ShipmentLine(models.Model):
    shipment = models.ForeignKey(Shipment, models.PROTECT, related_name="lines")
    line = models.ForeignKey(OrderLine, models.PROTECT, related_name="+", db_index=False)
    quantity = models.PositiveIntegerField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["shipment", "line"], name="orders_shipmentline_line_uniq"
            ),
            models.CheckConstraint(
                condition=models.Q(quantity__gt=0), name="orders_shipmentline_quantity_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × line {self.line_id}"


class GoodsReturn(models.Model):
    """Goods that a customer sent back and that staff have in hand."""

    order = models.ForeignKey(Order, models.PROTECT, related_name="returns")
    # Made with the form: one key, one return.
    key = models.CharField(max_length=100, editable=False)
    event = models.OneToOneField(OrderEvent, models.PROTECT, related_name="goods_return")
    taken_by = models.CharField(max_length=150)
    taken_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["key"], name="orders_goodsreturn_key_uniq"),
        ]

    def __str__(self) -> str:
        return f"Return {self.pk}"


class GoodsReturnLine(models.Model):
    goods_return = models.ForeignKey(GoodsReturn, models.PROTECT, related_name="lines")
    line = models.ForeignKey(OrderLine, models.PROTECT, related_name="+", db_index=False)
    quantity = models.PositiveIntegerField()
    # How many of them were put back on sale.
    restocked = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["goods_return", "line"], name="orders_goodsreturnline_line_uniq"
            ),
            models.CheckConstraint(
                condition=models.Q(quantity__gt=0) & models.Q(quantity__gte=models.F("restocked")),
                name="orders_goodsreturnline_quantities",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × line {self.line_id}"


class OrderToSend(Order):
    """The same orders, as the warehouse's list has them. The permission to send shows the list."""

    class Meta:
        proxy = True
        ordering = ["id"]
        default_permissions = ()
        verbose_name = "order to send"
        verbose_name_plural = "orders to send"
