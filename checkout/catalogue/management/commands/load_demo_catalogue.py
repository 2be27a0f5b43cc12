from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from checkout.catalogue.demo import DEMO_PRODUCTS
from checkout.catalogue.models import Product
from checkout.catalogue.stock import open_stock


class Command(BaseCommand):
    help = "Add the demo catalogue. Products that are there already are left as they are."

    def handle(self, *args: Any, **options: Any) -> None:
        before = Product.objects.count()
        with transaction.atomic():
            Product.objects.bulk_create(
                [Product(**product) for product in DEMO_PRODUCTS], ignore_conflicts=True
            )
            # Locked, so that a product which another process has just added is opened once.
            demo = Product.objects.filter(sku__in=[product["sku"] for product in DEMO_PRODUCTS])
            open_stock([product.pk for product in demo.order_by("sku").select_for_update()])
        added = Product.objects.count() - before
        kept = len(DEMO_PRODUCTS) - added
        self.stdout.write(f"Demo catalogue: {added} products added, {kept} there already.")
