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

# The draft of the Idempotency-Key header sets no limit; this is the column's.
MAX_KEY_LENGTH = 255


def new_checkout_id() -> uuid.UUID:
    """128 random bits; a version-4 UUID would have 122."""
    return uuid.UUID(bytes=secrets.token_bytes(16))


class Cart(models.Model):
    """What one shopper is about to buy. Its id is the checkout id: one cart, at most one order.

    Every change of the lines raises `version` first: that locks the row and outdates earlier forms.
    """

    checkout_id = models.UUIDField(primary_key=True, default=new_checkout_id, editable=False)
    version = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # Empty when it was not changed since it was made, or only by a release that did not store this.
    changed_at = models.DateTimeField(null=True, editable=False)
    closed_at = models.DateTimeField(null=True)  # set by the transaction that placed the order
    # What was added last and by which form, so that it is not added again.
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
    """What a token allows beside reading the catalogue, which everybody may."""

    READ = "orders:read", "See its own orders"
    WRITE = "orders:write", "Place, pay and cancel its own orders"
    # It shows other people's addresses, so a client has it only where it is named.
    FULFIL = "orders:fulfil", "See what is to be sent to whom in the whole shop, and send it"


# What a token is given where nobody says otherwise.
USUAL_SCOPES = [Scope.READ, Scope.WRITE]


class ApiClient(models.Model):
    """Settings of a client of the API. The client itself is a user who cannot sign in."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="api_client"
    )
    # Whether the client may place an order without the total that it showed.
    accepts_any_total = models.BooleanField(default=False, db_default=False)

    def __str__(self) -> str:
        return f"Client {self.pk}"


class ApiToken(AbstractAuthToken):  # type: ignore[misc] # knox has no types
    """A token that a client of the API authenticates with. Only its digest is stored."""

    # The primary key is not the digest, so that no address in the admin contains one.
    id = models.BigAutoField(primary_key=True)
    digest = models.CharField(max_length=128, unique=True, editable=False)
    # Scopes are separated by spaces, as in OAuth (RFC 6749, 3.3).
    scopes = models.CharField(max_length=200)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Token {self.pk}"

    def opens(self, scope: str) -> bool:
        return scope in self.scopes.split()


class ApiRequest(models.Model):
    """An idempotency key that a client used, and for what; committed together with the work.

    No copy of the first response is kept: it is made again from the order, as long as that lives.
    """

    class Operation(models.TextChoices):
        PLACE = "place_order", "Place an order"
        PAY = "pay_order", "Pay with another method"
        CANCEL = "cancel_order", "Cancel an order"
        SHIP = "ship_order", "Send a parcel"

    client = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = models.CharField(max_length=MAX_KEY_LENGTH)
    operation = models.CharField(max_length=20, choices=Operation)
    # A digest of the canonical request, which tells whether the same was asked.
    fingerprint = models.CharField(max_length=64)
    # The foreign key is the checkout id. The database checks it at COMMIT, so a key can be claimed
    # before its order is stored, and is never there without one.
    order = models.ForeignKey(Order, models.PROTECT, to_field="checkout_id", related_name="+")
    # What the first response said.
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
