"""An order whose total has all the parts there are, and one of the release that knew none."""

import uuid
from collections.abc import Sequence
from dataclasses import replace

from django.db import connection
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Order, new_reference
from checkout.orders.placing.place import place_order
from checkout.orders.placing.purchase import Customer
from tests.support.factories import CUSTOMER, OpenBasket, line, purchase
from tests.support.rules import delivery_method, discount_code, tax_rate

CODE = "HELLO10"
METHOD = "Parcel with a signature"

# Two pieces of €10.01 and one of €10.02 less 10 %, €4.90 for delivery; of these are €4.29 tax of
# 23 % (of 18.02 + 4.90) and €1.07 of 13.5 % (of 9.02).
TOTAL_MINOR = 3194
PARTS = [
    ("Goods", "€30.04"),
    (f"Discount ({CODE})", "-€3.00"),
    (f"Delivery ({METHOD})", "€4.90"),
]
TAXES = [("Includes 23 % VAT", "€4.29"), ("Includes 13.5 % VAT", "€1.07")]

BILLED: Customer = replace(
    CUSTOMER,
    address2="Attic",
    company="Quillfeather & Daughters",
    phone="+353 21 4270000",
    vat_id="IE6388047V",
    billing={
        "full_name": "Accounts of Quillfeather",
        "address": "1 Ledger Street",
        "city": "Dublin",
        "postcode": "D02 X285",
        "country": "IE",
    },
)


def rules_of_ireland() -> None:
    tax_rate("IE", "23")
    tax_rate("IE", "13.5", tax_class="reduced")
    delivery_method(METHOD, {"": 490})
    discount_code(CODE)


def order_with_parts(
    products: Sequence[Product], *, code: str = CODE, customer: Customer = BILLED
) -> Order:
    """Call `rules_of_ireland` first."""
    first, second = products[:2]
    Product.objects.filter(pk=second.pk).update(tax_class="reduced")
    second.refresh_from_db()
    asked = replace(purchase(), customer=customer, code=code)
    basket = OpenBasket([line(first, 2), line(second)])
    return place_order(asked, basket, now=timezone.now())


def order_of_the_release_before(product: Product, quantity: int = 2) -> Order:
    """As that release stores it: it names none of the columns that came since."""
    total_minor, now = quantity * product.price_minor, timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orders_order (reference, checkout_id, content_digest, resubmission_count,"
            " status, total_minor, currency, email, full_name, address, city, postcode, country,"
            " payment_method, payment_round, placed_at, sweep_at)"
            " VALUES (%s, %s, 'digest', 0, 'placed', %s, 'EUR', %s, %s, %s, %s, %s, %s,"
            " 'pm_card_visa', 1, %s, %s) RETURNING id",
            [
                *(new_reference(), uuid.uuid4(), total_minor, CUSTOMER.email, CUSTOMER.full_name),
                *(CUSTOMER.address, CUSTOMER.city, CUSTOMER.postcode, CUSTOMER.country, now, now),
            ],
        )
        [(order_id,)] = cursor.fetchall()
        cursor.execute(
            "INSERT INTO orders_orderline (order_id, product_id, sku, name, quantity,"
            " unit_price_minor) VALUES (%s, %s, %s, %s, %s, %s)",
            [order_id, product.pk, product.sku, product.name, quantity, product.price_minor],
        )
        cursor.execute(
            "INSERT INTO orders_orderevent (order_id, kind, from_status, to_status, reason,"
            " created_at) VALUES (%s, 'transition', '', 'placed', 'Order placed', %s)",
            [order_id, now],
        )
    return Order.objects.get(pk=order_id)
