from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from checkout.catalogue.models import Product

pytestmark = pytest.mark.django_db


def load() -> str:
    out = StringIO()
    call_command("load_demo_catalogue", stdout=out)
    return out.getvalue()


def test_a_dozen_products_of_which_one_is_the_last_and_one_sold_out() -> None:
    assert load() == "Demo catalogue: 12 products added, 0 there already.\n"

    stocks = list(Product.objects.values_list("stock", flat=True))
    assert (stocks.count(0), stocks.count(1)) == (1, 1)


def test_every_product_has_a_page(client: Client) -> None:
    load()

    pages = {
        product.name: client.get(f"/products/{product.slug}/") for product in Product.objects.all()
    }

    assert {name: page.status_code for name, page in pages.items()} == dict.fromkeys(pages, 200)
    assert all(name in page.content.decode() for name, page in pages.items())


def test_loading_again_leaves_what_the_shop_has_changed() -> None:
    load()
    Product.objects.filter(sku="PEN-GEL-05").update(price_minor=310, stock=7)

    assert load() == "Demo catalogue: 0 products added, 12 there already.\n"

    changed = Product.objects.get(sku="PEN-GEL-05")
    assert (changed.price_minor, changed.stock) == (310, 7)
