from typing import Any

from django.core.management.base import BaseCommand

from checkout.catalogue.demo import DEMO_PRODUCTS
from checkout.catalogue.models import Product


class Command(BaseCommand):
    help = "Add the demo catalogue. Products that are there already are left as they are."

    def handle(self, *args: Any, **options: Any) -> None:
        before = Product.objects.count()
        Product.objects.bulk_create(
            [Product(**product) for product in DEMO_PRODUCTS], ignore_conflicts=True
        )
        added = Product.objects.count() - before
        kept = len(DEMO_PRODUCTS) - added
        self.stdout.write(f"Demo catalogue: {added} products added, {kept} there already.")
