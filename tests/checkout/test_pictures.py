"""Every product has a picture: its own drawing, or the one for all others."""

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from checkout.catalogue.demo import DEMO_PRODUCTS
from checkout.catalogue.models import Product
from checkout.catalogue.pictures import FALLBACK, FOLDER, drawing_url, has_own_drawing
from tests.support.shopper import Shopper

# A dozen of them on one page, over one bar of signal.
LARGEST_BYTES = 3_000


def pictures(page: str) -> dict[str, str]:
    """Source → alt text."""
    return dict(re.findall(r'<img class="picture[^>]* src="([^"]+)" alt="([^"]*)"', page))


def test_every_demo_product_has_a_small_drawing_without_style_or_script() -> None:
    for sku in [product["sku"] for product in DEMO_PRODUCTS]:
        found = finders.find(f"{FOLDER}/{sku}.svg")
        assert isinstance(found, str), sku
        drawing = Path(found).read_text()
        assert len(drawing.encode()) < LARGEST_BYTES, sku
        assert not re.search(r"<script|<style|style=|href=", drawing), sku


@pytest.mark.parametrize("sku", ["SKU-01", "", "../../checkout/favicon", "NO\0SUCH"])
def test_product_without_a_drawing_shows_the_one_for_all(sku: str) -> None:
    assert not has_own_drawing(sku)
    assert drawing_url(sku) == f"/static/{FALLBACK}"


def test_drawing_is_named_on_the_products_page_and_silent_beside_its_name(
    shopper: Shopper,
) -> None:
    Product.objects.filter(sku="LAST").update(sku="GLB-1958")
    own = "/static/catalogue/GLB-1958.svg"

    assert pictures(shopper.web.get("/products/globe/").text) == {own: "Drawing: Globe"}
    assert pictures(shopper.web.get("/").text)[own] == ""
    fallback = pictures(shopper.web.get("/products/notebook-01/").text)
    assert fallback == {f"/static/{FALLBACK}": ""}
