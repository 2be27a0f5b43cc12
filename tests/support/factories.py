"""Orders as the placing code makes them, without the pages."""

import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.utils import timezone

from checkout.catalogue.gateways import gateway_names
from checkout.catalogue.models import Product
from checkout.orders.models import Order
from checkout.orders.placing.place import place_order
from checkout.orders.placing.purchase import Customer, PlaceOrder, PurchaseLine, digest

CUSTOMER = Customer(
    email="ada@example.com",
    full_name="Ada Quillfeather",
    address="12 Inkwell Lane",
    city="Cork",
    postcode="T12 ABC1",
    country="IE",
)


@dataclass(frozen=True)
class OpenBasket:
    """Gives its lines to whoever asks: leaves uniqueness to the database alone."""

    lines: Sequence[PurchaseLine]
    before: Callable[[], object] = lambda: None

    def take(self) -> Sequence[PurchaseLine]:
        self.before()
        return self.lines

    def is_as_shown(self, total_minor: int) -> bool:
        return True


def line(product: Product, quantity: int = 1) -> PurchaseLine:
    return PurchaseLine.of(product, quantity)


def purchase(
    checkout_id: uuid.UUID | None = None, *, payment_method: str = "pm_card_visa"
) -> PlaceOrder:
    return PlaceOrder(
        checkout_id=checkout_id or uuid.UUID(bytes=secrets.token_bytes(16)),
        customer=CUSTOMER,
        gateway=gateway_names()[0],
        payment_method=payment_method,
        currency="EUR",
        content_digest=digest({"payment_method": payment_method}),
    )


def placed_order(*products: Product, payment_method: str = "pm_card_visa") -> Order:
    basket = OpenBasket([line(product) for product in products])
    return place_order(purchase(payment_method=payment_method), basket, now=timezone.now())
