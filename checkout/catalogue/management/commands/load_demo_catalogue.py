from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from checkout.catalogue.demo import DEMO_PRODUCTS
from checkout.catalogue.models import Product
from checkout.catalogue.rules.demo import load_demo_rules
from checkout.catalogue.stock import open_stock
from checkout.texts.demo import load_demo_texts


class Command(BaseCommand):
    help = (
        "Add the demo catalogue: products, tax rates, ways of delivery, discount codes, and the "
        "texts that a shop must show, marked as demo texts. What is there already is left as it is."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        before = Product.objects.count()
        with transaction.atomic():
            Product.objects.bulk_create(
                [Product(**product) for product in DEMO_PRODUCTS], ignore_conflicts=True
            )
            # Locked, so that a product which another process has just added is opened once.
            demo = Product.objects.filter(sku__in=[product["sku"] for product in DEMO_PRODUCTS])
            open_stock([product.pk for product in demo.order_by("sku").select_for_update()])
            rules = load_demo_rules()
            texts = load_demo_texts()
        added = Product.objects.count() - before
        kept = len(DEMO_PRODUCTS) - added
        self.stdout.write(f"Demo catalogue: {added} products added, {kept} there already.")
        self.stdout.write(
            f"Its rules: {rules.methods} ways of delivery, {rules.rates} tax rates and "
            f"{rules.codes} codes added."
        )
        self.stdout.write(f"Its texts: {texts} added, each marked as a demo text.")
