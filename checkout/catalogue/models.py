from django.conf import settings
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from moneyed import Money

from checkout.catalogue.money import money


class Product(models.Model):
    sku = models.CharField(
        max_length=40,
        validators=[RegexValidator(r"^[A-Z0-9][A-Z0-9-]*$", "Capital letters, digits, hyphens.")],
    )
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=120)
    description = models.TextField(blank=True)
    price_minor = models.PositiveBigIntegerField(
        "price", help_text="In the currency's minor unit: 1250 is €12.50."
    )
    stock = models.IntegerField(
        validators=[MinValueValidator(0)], help_text="Pieces that can still be sold."
    )
    is_on_sale = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["sku"], name="catalogue_product_sku_uniq"),
            models.UniqueConstraint(fields=["slug"], name="catalogue_product_slug_uniq"),
            models.CheckConstraint(
                condition=models.Q(stock__gte=0), name="catalogue_product_stock_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def price(self) -> Money:
        return money(self.price_minor, settings.SHOP_CURRENCY)
