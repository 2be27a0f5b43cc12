from django.contrib import admin

from checkout.catalogue.models import Product


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin[Product]):
    list_display = ["sku", "name", "price", "stock", "is_on_sale"]
    search_fields = ["sku", "name"]
    list_filter = ["is_on_sale"]
    prepopulated_fields = {"slug": ["name"]}
