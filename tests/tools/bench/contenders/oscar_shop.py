"""`python -m tests.tools.bench.contenders.oscar_shop`: django-oscar places orders, in process.

Its own database, its own settings; baskets are filled beforehand. What is timed is what its
checkout does when the shopper confirms: address stored, order placed, basket submitted.
"""

import argparse
import json
import os
import sys
import time

import django

PRODUCTS = 1000

# In front of what is timed: imports and caches of the first orders.
WARM_UP = 10


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.bench.contenders.oscar_shop")
    parser.add_argument("--orders", type=int, default=100)
    parser.add_argument("--lines", type=int, default=3)
    parser.add_argument("--prepare", action="store_true", help="Make tables and products, no more.")
    options = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.tools.bench.contenders.oscar_settings"
    django.setup()
    if options.prepare:
        _prepare()
        return
    baskets = [_basket(n, options.lines) for n in range(WARM_UP + options.orders)]
    seconds = [_place(basket) for basket in baskets][WARM_UP:]
    json.dump(seconds, sys.stdout)


def _prepare() -> None:
    from django.core.management import call_command
    from oscar.core.loading import get_model

    call_command("migrate", verbosity=0, skip_checks=True)
    Product = get_model("catalogue", "Product")
    StockRecord = get_model("partner", "StockRecord")
    kind = get_model("catalogue", "ProductClass").objects.create(name="Paper", track_stock=True)
    partner = get_model("partner", "Partner").objects.create(name="Halfmoon")
    get_model("address", "Country").objects.create(
        iso_3166_1_a2="IE", iso_3166_1_a3="IRL", printable_name="Ireland", name="Ireland"
    )
    products = Product.objects.bulk_create(
        Product(
            title=f"Notebook {n:04d}",
            slug=f"notebook-{n:04d}",
            upc=f"UPC{n:04d}",
            product_class=kind,
        )
        for n in range(PRODUCTS)
    )
    StockRecord.objects.bulk_create(
        StockRecord(
            product=product,
            partner=partner,
            partner_sku=product.upc,
            price_currency="EUR",
            price=10,
            num_in_stock=1_000_000,
        )
        for product in products
    )


def _basket(n: int, lines: int):  # type: ignore[no-untyped-def] # oscar's models are made at run time
    from oscar.core.loading import get_class, get_model

    products = get_model("catalogue", "Product").objects.order_by("id")
    basket = get_model("basket", "Basket").objects.create()
    basket.strategy = get_class("partner.strategy", "Selector")().strategy()
    for line in range(lines):
        basket.add_product(products[(n * 7 + line * 31) % PRODUCTS], quantity=1)
    return basket


def _place(basket) -> float:  # type: ignore[no-untyped-def] # as above
    from oscar.core.loading import get_class, get_model

    basket = get_model("basket", "Basket").objects.get(pk=basket.pk)
    basket.strategy = get_class("partner.strategy", "Selector")().strategy()
    address = get_model("order", "ShippingAddress")(
        first_name="Ada",
        last_name="Quillfeather",
        line1="12 Inkwell Lane",
        line4="Cork",
        postcode="T12 ABC1",
        country_id="IE",
    )
    shipping = get_class("shipping.methods", "Free")()
    began = time.perf_counter()
    charge = shipping.calculate(basket)
    total = get_class("checkout.calculators", "OrderTotalCalculator")().calculate(basket, charge)
    address.save()
    get_class("order.utils", "OrderCreator")().place_order(
        basket=basket,
        total=total,
        shipping_method=shipping,
        shipping_charge=charge,
        shipping_address=address,
        guest_email="shopper@example.com",
    )
    basket.submit()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
