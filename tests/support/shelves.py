"""Products with the movements that their stock is made of."""

from collections.abc import Iterable

from django.db import transaction

from checkout.catalogue.models import Product
from checkout.catalogue.stock import open_stock


def on_the_shelf(products: Iterable[Product]) -> list[Product]:
    with transaction.atomic():
        stored = Product.objects.bulk_create(products)
        open_stock([product.pk for product in stored])
    return stored
