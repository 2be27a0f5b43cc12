"""The link in an e-mail that opens an order's page: whoever has the mail may see the order.

The link is signed and never expires, since a receipt is looked up years later.
`SECRET_KEY_FALLBACKS` keeps links good over a change of the key. Raising `Order.link_version` stops
all links from before, where they may have gone to an address that is not the customer's.
"""

from typing import NamedTuple

from django.conf import settings
from django.core import signing
from django.urls import reverse

from checkout.orders.models import Invoice, Order

SALT = "orders.link.v1"

# It stands in no reference. The first version has none, so that links from before are good.
BEFORE_VERSION = "."


class Opener(NamedTuple):
    """What a link says: an order, and the version of its links at that time."""

    reference: str
    version: int

    @classmethod
    def of(cls, order: Order) -> "Opener":
        return cls(order.reference, order.link_version)

    @classmethod
    def read(cls, text: str) -> "Opener":
        reference, _, version = text.partition(BEFORE_VERSION)
        return cls(reference, int(version or 0))

    def __str__(self) -> str:
        tail = f"{BEFORE_VERSION}{self.version}" if self.version else ""
        return f"{self.reference}{tail}"


def link_path(order: Order) -> str:
    token = signing.Signer(salt=SALT).sign(str(Opener.of(order)))
    return reverse("order_link", args=[token])


def order_link(order: Order) -> str:
    return f"{settings.SHOP_URL}{link_path(order)}"


def invoice_link(order: Order, invoice: Invoice) -> str:
    """The order's link, which leads on to one of its invoices."""
    return f"{order_link(order)}?invoice={invoice.number}"


def staff_link(order: Order) -> str:
    """The order's page in the admin, which opens for staff alone."""
    return f"{settings.SHOP_URL}{reverse('admin:orders_order_change', args=[order.pk])}"


def read_link(token: str) -> Opener | None:
    """Return what the link says; None where this shop has not signed the token."""
    try:
        return Opener.read(signing.Signer(salt=SALT).unsign(token))
    except signing.BadSignature:
        return None
