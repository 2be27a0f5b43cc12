"""The link in an e-mail that opens an order's page: whoever has the mail may see the order.

The link is signed and never expires, since a receipt is looked up years later.
`SECRET_KEY_FALLBACKS` keeps links good over a change of the key.
"""

from django.conf import settings
from django.core import signing
from django.urls import reverse

from checkout.orders.models import Order

SALT = "orders.link.v1"


def link_path(order: Order) -> str:
    return reverse("order_link", args=[signing.Signer(salt=SALT).sign(order.reference)])


def order_link(order: Order) -> str:
    return f"{settings.SHOP_URL}{link_path(order)}"


def staff_link(order: Order) -> str:
    """The order's page in the admin, which opens for staff alone."""
    return f"{settings.SHOP_URL}{reverse('admin:orders_order_change', args=[order.pk])}"


def read_link(token: str) -> str | None:
    """Return the order's reference; None where this shop has not signed the token."""
    try:
        return signing.Signer(salt=SALT).unsign(token)
    except signing.BadSignature:
        return None
