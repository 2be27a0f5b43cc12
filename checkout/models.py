import secrets
import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Coalesce, Now
from knox.models import AbstractAuthToken
from moneyed import Money

from checkout.catalogue.models import Product
from checkout.catalogue.money import money
from checkout.orders.models import Order
from checkout.orders.states import OrderStatus

MAX_QUANTITY = 99

# The draft sets no limit; ours is a column's.
MAX_KEY_LENGTH = 255


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
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # Empty: never since it was made, or by a release that did not write it down.
    changed_at = models.DateTimeField(null=True, editable=False)
    closed_at = models.DateTimeField(null=True)  # by the transaction that placed its order
    # What was added last, by which form: it is not added again.
    last_press = models.CharField(max_length=100, default="", db_default="", editable=False)

    class Meta:
        indexes = [models.Index(Coalesce("changed_at", "created_at"), name="checkout_cart_old_idx")]

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


class Scope(models.TextChoices):
    """What a token opens, beside the catalogue, which is open to all."""

    READ = "orders:read", "See its own orders"
    WRITE = "orders:write", "Place, pay and cancel its own orders"


class ApiClient(models.Model):
    """What is agreed with a client of the API. The client itself is a user who cannot sign in."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="api_client"
    )
    # Whether it may place an order without the total that it showed.
    accepts_any_total = models.BooleanField(default=False, db_default=False)

    def __str__(self) -> str:
        return f"Client {self.pk}"


class ApiToken(AbstractAuthToken):  # type: ignore[misc] # knox has no types
    """Lets a client of the API in. The token itself is kept nowhere, only its digest."""

    # Instead of the digest, so that no address of the admin holds one.
    id = models.BigAutoField(primary_key=True)
    digest = models.CharField(max_length=128, unique=True, editable=False)
    # Separated by spaces, as OAuth writes them (RFC 6749, 3.3).
    scopes = models.CharField(max_length=200)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Token {self.pk}"

    def opens(self, scope: str) -> bool:
        return scope in self.scopes.split()


class ApiRequest(models.Model):
    """That a client's idempotency key was used, and for what: committed together with the work.

    No copy of the first answer is kept: it told the order in one status, and is told again from
    the order. Rows live as long as their order.
    """

    class Operation(models.TextChoices):
        PLACE = "place_order", "Place an order"
        PAY = "pay_order", "Pay with another method"
        CANCEL = "cancel_order", "Cancel an order"

    client = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = models.CharField(max_length=MAX_KEY_LENGTH)
    operation = models.CharField(max_length=20, choices=Operation)
    # Of the canonical request: tells whether the same was asked.
    fingerprint = models.CharField(max_length=64)
    # By its checkout id. The database checks it at COMMIT, so a key can be claimed before its order
    # is stored, and is never there without one.
    order = models.ForeignKey(Order, models.PROTECT, to_field="checkout_id", related_name="+")
    # What the first answer said.
    status_code = models.PositiveSmallIntegerField()
    order_status = models.CharField(max_length=20, choices=OrderStatus)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["client", "key"], name="checkout_apirequest_client_key_uniq"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.pk}"
