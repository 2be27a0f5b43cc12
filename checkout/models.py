import secrets
import uuid

from django.db import models
from moneyed import Money

from checkout.catalogue.models import Product
from checkout.catalogue.money import money

MAX_QUANTITY = 99


def new_checkout_id() -> uuid.UUID:
    """128 random bits; a version-4 UUID would have 122."""
    return uuid.UUID(bytes=secrets.token_bytes(16))


class Cart(models.Model):
    """What one shopper is about to buy. Its id is the checkout id: one cart, at most one order.

    Every change of its lines raises `version` first, which locks the row and tells a form that was
    rendered earlier that it shows something else.
    """

    checkout_id = models.UUIDField(primary_key=True, default=new_checkout_id, editable=False)
    version = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True)  # by the transaction that placed its order

    def __str__(self) -> str:
        return f"Cart, version {self.version}"


class CartLine(models.Model):
    cart = models.ForeignKey(Cart, models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, models.CASCADE, related_name="+")
    quantity = models.PositiveIntegerField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["cart", "product"], name="checkout_cartline_product_uniq"
            ),
            models.CheckConstraint(
                condition=models.Q(quantity__gte=1, quantity__lte=MAX_QUANTITY),
                name="checkout_cartline_quantity_sane",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.product_id}"

    @property
    def total_minor(self) -> int:
        return self.quantity * self.product.price_minor

    @property
    def total(self) -> Money:
        return self.quantity * self.product.price

    @property
    def is_available(self) -> bool:
        return self.product.is_on_sale and self.product.stock >= self.quantity


def lines_total(lines: list[CartLine], currency: str) -> Money:
    return money(sum(line.total_minor for line in lines), currency)
