"""What was bought, how far it is sent, and the discount code of an order."""

from django.db import models
from moneyed import Money

from checkout.catalogue.models import DiscountCode, Product
from checkout.catalogue.money import money

SENT_AT_MOST = "orders_orderline_sent_at_most"


class OrderLine(models.Model):
    """What was bought, with the name and the price that the product had then."""

    order = models.ForeignKey("orders.Order", models.PROTECT, related_name="lines")
    product = models.ForeignKey(Product, models.PROTECT, related_name="+")
    sku = models.CharField(max_length=40)
    name = models.CharField(max_length=120)
    quantity = models.PositiveIntegerField()
    unit_price_minor = models.PositiveBigIntegerField()
    # The line's share of the order's discount, and of the tax of its rate. Without a percentage the
    # line is of a release before tax was worked out.
    discount_minor = models.PositiveBigIntegerField(default=0, db_default=0)
    tax_percent = models.DecimalField(max_digits=6, decimal_places=3, null=True, blank=True)
    tax_minor = models.PositiveBigIntegerField(default=0, db_default=0)
    # Whether the line is sent at all: a voucher or a file is not.
    is_delivered = models.BooleanField(default=True, db_default=True)
    # Pieces that were sent; that will never be sent; that came back after they were sent; that were
    # put back on sale; and whose price was sent back.
    shipped = models.PositiveIntegerField(default=0, db_default=0)
    called_off = models.PositiveIntegerField(default=0, db_default=0)
    returned = models.PositiveIntegerField(default=0, db_default=0)
    put_back = models.PositiveIntegerField(default=0, db_default=0)
    refunded = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["order", "product"], name="orders_orderline_product_uniq"
            ),
            models.CheckConstraint(
                condition=models.Q(quantity__gt=0), name="orders_orderline_quantity_positive"
            ),
            # No piece is sent that was not ordered, or that was taken back before.
            models.CheckConstraint(
                condition=models.Q(
                    quantity__gte=models.F("shipped") + models.F("called_off"),
                ),
                name=SENT_AT_MOST,
            ),
            models.CheckConstraint(
                condition=models.Q(shipped__gte=models.F("returned")),
                name="orders_orderline_returned_was_sent",
            ),
            # No piece is put back on sale twice, or while it may still be sent.
            models.CheckConstraint(
                condition=models.Q(
                    put_back__lte=models.F("called_off") + models.F("returned"),
                ),
                name="orders_orderline_put_back_at_most",
            ),
            models.CheckConstraint(
                condition=models.Q(quantity__gte=models.F("refunded")),
                name="orders_orderline_refunded_at_most",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.name}"

    @property
    def total_minor(self) -> int:
        return self.quantity * self.unit_price_minor

    @property
    def to_send(self) -> int:
        """The pieces that are still to be sent."""
        return self.quantity - self.shipped - self.called_off if self.is_delivered else 0

    @property
    def total(self) -> Money:
        return money(self.total_minor, self.order.currency)


class CodeUse(models.Model):
    """That an order has a discount code. `DiscountCode.used` counts the rows that are live."""

    order = models.OneToOneField("orders.Order", models.PROTECT, related_name="code_use")
    code = models.ForeignKey(DiscountCode, models.PROTECT, related_name="+", db_index=False)
    # A keyed hash of the customer's address, by which one customer's orders are counted.
    customer_key = models.CharField(max_length=64, editable=False)
    # False while the order is cancelled.
    is_live = models.BooleanField(default=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["code", "customer_key"],
                condition=models.Q(is_live=True),
                name="orders_codeuse_live_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"Code {self.code_id} of order {self.order_id}"
