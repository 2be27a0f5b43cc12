"""The lines of a request as the basket of an order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from checkout.catalogue.models import Product
from checkout.orders.placing import PurchaseLine


class UnknownProducts(Exception):
    """Nothing of that name is sold here. Nothing was stored."""

    def __init__(self, skus: set[str]) -> None:
        super().__init__(f"{len(skus)} products are unknown")
        self.skus = skus


@dataclass(frozen=True)
class ApiBasket:
    """Used up by the key: of many requests with one key a single one claims it."""

    quantities: Mapping[str, int]  # by SKU, in the order of the lines
    claim: Callable[[], None]

    def take(self) -> Sequence[PurchaseLine]:
        self.claim()
        # Read after the claim, which may have waited for long.
        products = {
            product.sku: product
            for product in Product.objects.filter(sku__in=self.quantities, is_on_sale=True)
        }
        if unknown := self.quantities.keys() - products.keys():
            raise UnknownProducts(set(unknown))
        return [
            PurchaseLine(
                product_id=products[sku].pk,
                sku=sku,
                name=products[sku].name,
                quantity=quantity,
                unit_price_minor=products[sku].price_minor,
            )
            for sku, quantity in self.quantities.items()
        ]
