from datetime import date
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from checkout.catalogue.models import (
    DeliveryMethod,
    DeliveryPrice,
    DiscountCode,
    Product,
    TaxRate,
)
from checkout.catalogue.rules.load_rates import rate_row
from checkout.catalogue.rules.read import read_rules
from checkout.catalogue.rules.tables import PriceRow, faults_of_prices, faults_of_rates
from checkout.quotes.quote import Quote, quote
from checkout.quotes.rules import Destination, TaxClass

pytestmark = pytest.mark.django_db


def load() -> str:
    out = StringIO()
    call_command("load_demo_catalogue", stdout=out)
    return out.getvalue()


def test_a_dozen_products_of_which_one_is_the_last_and_one_sold_out() -> None:
    assert load() == (
        "Demo catalogue: 12 products added, 0 there already.\n"
        "Its rules: 2 ways of delivery, 11 tax rates and 2 codes added.\n"
        "Its texts: 12 added, each marked as a demo text.\n"
    )

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

    assert load() == (
        "Demo catalogue: 0 products added, 12 there already.\n"
        "Its rules: 0 ways of delivery, 0 tax rates and 0 codes added.\n"
        "Its texts: 0 added, each marked as a demo text.\n"
    )

    changed = Product.objects.get(sku="PEN-GEL-05")
    assert (changed.price_minor, changed.stock) == (310, 7)


TODAY = date(2026, 11, 29)


def quoted(country: str, *skus: str, region: str = "", method: str = "") -> Quote:
    there = Destination(country=country, region=region)
    ids = dict(DeliveryMethod.objects.values_list("name", "pk"))
    lines = [Product.objects.get(sku=sku).quoted_line(1) for sku in skus]
    rules = read_rules(there, today=TODAY)
    return quote(lines, there, str(ids[method]) if method else "", "", rules)


def test_every_product_weighs_something() -> None:
    load()

    assert not Product.objects.filter(weight_grams=0).exists()


def test_tables_of_the_demo_have_neither_hole_nor_overlap() -> None:
    load()

    for method in DeliveryMethod.objects.all():
        rows = [
            PriceRow(country=row.country, at_least=row.at_least, below=row.below)
            for row in method.prices.all()
        ]
        assert faults_of_prices(rows, str, str) == []
    assert faults_of_rates([rate_row(rate) for rate in TaxRate.objects.all()]) == []


@pytest.mark.parametrize(
    ("country", "skus", "method", "delivery_minor"),
    [
        ("DE", ["NB-A5-DOT"], "", 490),
        ("IE", ["GLB-1958"], "", 690),
        ("FR", ["NB-A5-DOT"], "", 690),
        ("US", ["NB-A5-DOT"], "", 990),
        ("JP", ["NB-A5-DOT"], "", 1490),
        ("DE", ["NB-A5-DOT"], "Express", 1290),
        ("DE", ["GLB-1958"], "Express", 0),
        ("GB", ["GLB-1958"], "Express", 2990),
    ],
)
def test_delivery_costs_what_the_demo_says(
    country: str, skus: list[str], method: str, delivery_minor: int
) -> None:
    load()

    assert quoted(country, *skus, method=method).delivery_minor == delivery_minor


def test_express_does_not_go_everywhere() -> None:
    load()

    assert [offer.method.name for offer in quoted("JP", "NB-A5-DOT").offered] == ["Standard parcel"]


@pytest.mark.parametrize(
    ("country", "region", "percents"),
    [
        ("DE", "", ["19", "7"]),
        ("IE", "", ["23", "13.5"]),
        ("US", "", []),
        ("US", "CA", ["7.25"]),
        ("JP", "", []),
    ],
)
def test_tax_is_that_of_the_country(country: str, region: str, percents: list[str]) -> None:
    load()

    taxes = quoted(country, "NB-A5-DOT", "CRD-LTR-10", region=region).taxes
    assert [f"{tax.percent.normalize():f}" for tax in taxes] == percents
    assert Product.objects.get(sku="CRD-LTR-10").tax_class == TaxClass.REDUCED


def test_rules_of_the_shop_stay_alone() -> None:
    own = DeliveryMethod.objects.create(name="Bicycle")
    TaxRate.objects.create(
        country="DE", tax_class="standard", percent=16, holds_from=date(2026, 1, 1)
    )
    DiscountCode.objects.create(code="WELCOME10", kind="percent", percent=15)

    load()

    assert list(DeliveryMethod.objects.all()) == [own]
    assert not DeliveryPrice.objects.exists()
    assert TaxRate.objects.get(country="DE").percent == 16
    assert TaxRate.objects.filter(country="IE").count() == 2
    assert DiscountCode.objects.get(code="WELCOME10").percent == 15


def test_loading_again_leaves_rules_that_staff_changed() -> None:
    load()
    DeliveryPrice.objects.filter(country="DE").update(price_minor=1)
    DeliveryMethod.objects.filter(name="Express").update(name="Overnight", is_on=False)
    TaxRate.objects.filter(country="DE", tax_class="reduced").delete()
    DiscountCode.objects.filter(code="FREESHIP").update(is_on=False)
    tables = (DeliveryMethod, DeliveryPrice, TaxRate, DiscountCode)
    before = [list(table.objects.order_by("pk").values()) for table in tables]

    load()

    assert [list(table.objects.order_by("pk").values()) for table in tables] == before
