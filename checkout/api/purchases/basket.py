"""The lines of an API request as the basket of an order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings

from checkout.catalogue.models import Product
from checkout.orders.placing.purchase import PurchaseLine


class UnknownProducts(Exception):
    """No product with such a SKU is on sale. Nothing was stored."""

    def __init__(self, skus: set[str]) -> None:
        super().__init__(f"{len(skus)} products are unknown")
        self.skus = skus


def purchase_lines(quantities: Mapping[str, int]) -> list[PurchaseLine]:
    """The products as they are now, in the order of these quantities by SKU."""
    products = {
        product.sku: product
        for product in Product.objects.filter(sku__in=quantities, is_on_sale=True)
    }
    if unknown := quantities.keys() - products.keys():
        raise UnknownProducts(set(unknown))
    return [PurchaseLine.of(products[sku], quantity) for sku, quantity in quantities.items()]


@dataclass(frozen=True)
class ApiBasket:
    """The idempotency key uses this basket up: of many requests with one key only one claims it."""

    quantities: Mapping[str, int]  # by SKU, in the order of the lines
    claim: Callable[[], None]
    # The total that the client showed; None where this client accepts any total.
    expected_minor: int | None
    expected_currency: str

    def take(self) -> Sequence[PurchaseLine]:
        self.claim()
        # Products are read after the claim, which may have waited a long time.
        return purchase_lines(self.quantities)

    def is_as_shown(self, total_minor: int) -> bool:
        expected = (self.expected_minor, self.expected_currency)
        return self.expected_minor is None or expected == (total_minor, settings.SHOP_CURRENCY)
