from django.conf import settings
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Now
from moneyed import Money

from checkout.catalogue.money import money
from checkout.catalogue.rules.models import (
    DeliveryMethod,
    DeliveryPrice,
    DiscountCode,
    TaxRate,
    tax_class_field,
)
from checkout.quotes.rules import Line, TaxClass

__all__ = [
    "DeliveryMethod",
    "DeliveryPrice",
    "DiscountCode",
    "Product",
    "StockMovement",
    "TaxRate",
]


class Product(models.Model):
    sku = models.CharField(
        max_length=40,
        validators=[RegexValidator(r"^[A-Z0-9][A-Z0-9-]*$", "Capital letters, digits, hyphens.")],
    )
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=120)
    description = models.TextField(blank=True)
    price_minor = models.PositiveBigIntegerField(
        "price", help_text="In the currency's minor unit: 1250 is €12.50."
    )
    # Only ever written together with a `StockMovement`; see the module `stock`.
    stock = models.IntegerField(
        validators=[MinValueValidator(0)], help_text="Pieces that can still be sold."
    )
    is_on_sale = models.BooleanField(default=True)
    weight_grams = models.PositiveIntegerField(
        "weight in grams", default=0, db_default=0, help_text="Of one piece, with its packaging."
    )
    is_delivered = models.BooleanField(
        "is delivered",
        default=True,
        db_default=True,
        help_text="Not so for a voucher or a file: an order of these alone needs no delivery.",
    )
    tax_class = tax_class_field()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["sku"], name="catalogue_product_sku_uniq"),
            models.UniqueConstraint(fields=["slug"], name="catalogue_product_slug_uniq"),
            models.CheckConstraint(
                condition=models.Q(stock__gte=0), name="catalogue_product_stock_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def price(self) -> Money:
        return money(self.price_minor, settings.SHOP_CURRENCY)

    def quoted_line(self, quantity: int) -> Line:
        """So many pieces of it, as `quote` takes them."""
        return Line(
            product_id=self.pk,
            quantity=quantity,
            unit_price_minor=self.price_minor,
            weight_grams=self.weight_grams,
            is_delivered=self.is_delivered,
            tax_class=TaxClass(self.tax_class),
        )


class StockMovement(models.Model):
    """One change of one product's stock, written in the transaction that made it.

    The movements of a product add up to its stock. A trigger refuses to change or delete one.
    """

    class Kind(models.TextChoices):
        OPENING = "opening", "Opening balance"
        PLACED = "placed", "Order placed"
        RELEASED = "released", "Order cancelled"
        REVIVED = "revived", "Cancelled order paid after all"
        RESTOCKED = "restocked", "Put back after a return"
        RECEIVED = "received", "Received"
        COUNTED = "counted", "Counted"
        CORRECTED = "corrected", "Corrected"

    product = models.ForeignKey(
        Product, models.PROTECT, related_name="movements", db_index=False, editable=False
    )
    change = models.IntegerField()
    kind = models.CharField("what happened", max_length=20, choices=Kind)
    # Empty where the change belongs to no order.
    order = models.ForeignKey(
        "orders.Order",
        models.PROTECT,
        related_name="stock_movements",
        null=True,
        blank=True,
        db_index=False,
    )
    # The name that this person signs in with; empty for the shop itself.
    actor = models.CharField("who", max_length=150, blank=True, default="", db_default="")
    explanation = models.CharField("why", max_length=200, blank=True, default="", db_default="")
    # Made with the form, so that the same form sent twice is one movement.
    key = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    created_at = models.DateTimeField("when", db_default=Now(), editable=False)

    class Meta:
        ordering = ["id"]
        permissions = [
            ("move_stock", "Can change how many pieces of a product there are"),
            ("restock_order", "Can put an order's returned goods back in stock"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["key"],
                condition=~models.Q(key=""),
                name="catalogue_stockmovement_key_uniq",
            ),
            models.CheckConstraint(
                condition=~models.Q(change=0) | models.Q(kind="counted"),
                name="catalogue_stockmovement_changes",
            ),
            models.CheckConstraint(
                condition=models.Q(order__isnull=False)
                | ~models.Q(kind__in=["placed", "released", "revived", "restocked"]),
                name="catalogue_stockmovement_has_order",
            ),
        ]
        indexes = [
            models.Index(fields=["product", "-id"], name="catalogue_movement_product_idx"),
            models.Index(
                fields=["order"],
                condition=models.Q(order__isnull=False),
                name="catalogue_movement_order_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.change:+d} {self.get_kind_display().lower()}"
