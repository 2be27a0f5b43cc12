"""Tax rates, discount codes and the weights of products, as staff type them."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test import Client

from checkout.catalogue.models import (
    DeliveryMethod,
    DiscountCode,
    Product,
    TaxRate,
)
from checkout.orders.models import CodeUse
from tests.admin.test_products import opened, words
from tests.support.factories import placed_order
from tests.support.rules import delivery_method
from tests.support.waiting import until_somebody_waits

RATES = "/admin/catalogue/taxrate/"
METHODS = "/admin/catalogue/deliverymethod/"
CODES = "/admin/catalogue/discountcode/"

Row = tuple[str, str, str, str]


def page_of(thing: TaxRate | DeliveryMethod | DiscountCode) -> str:
    return f"/admin/catalogue/{thing._meta.model_name}/{thing.pk}/change/"


# Tax rates


def typed_rate(tax_class: str, percent: str, day: str, country: str = "DE") -> dict[str, str]:
    return {"country": country, "tax_class": tax_class, "percent": percent, "holds_from": day}


def add_rate(client: Client, rate: dict[str, str]) -> str:
    answer = client.post(f"{RATES}add/", opened(client, f"{RATES}add/") | rate)
    return "" if answer.status_code == 302 else words(answer.content)


def test_rates_are_typed_one_after_the_other(grocer: Client) -> None:
    assert add_rate(grocer, typed_rate("standard", "19", "2021-01-01")) == ""
    assert add_rate(grocer, typed_rate("standard", "25.5", "2030-01-01")) == ""
    region = typed_rate("standard", "7.25", "2017-01-01", "US") | {"region": "ca"}
    assert add_rate(grocer, region) == ""

    rates = TaxRate.objects.values_list("country", "region", "percent")
    assert set(rates) == {
        ("DE", "", Decimal("19.000")),
        ("DE", "", Decimal("25.500")),
        ("US", "CA", Decimal("7.250")),
    }


def test_second_rate_of_a_day_names_both(grocer: Client) -> None:
    add_rate(grocer, typed_rate("standard", "19", "2021-01-01"))

    refused = add_rate(grocer, typed_rate("standard", "16", "2021-01-01"))

    assert "“DE standard: 19 % from 2021-01-01”" in refused
    assert "“DE standard: 16 % from 2021-01-01”" in refused
    assert TaxRate.objects.count() == 1


def test_reduced_rate_without_a_standard_one_is_refused(grocer: Client) -> None:
    assert "has no standard rate" in add_rate(grocer, typed_rate("reduced", "7", "2021-01-01"))
    add_rate(grocer, typed_rate("standard", "19", "2021-01-01"))
    assert "so there is a hole" in add_rate(grocer, typed_rate("reduced", "7", "2020-01-01"))
    assert add_rate(grocer, typed_rate("reduced", "7", "2021-01-01")) == ""


def test_rate_moved_behind_a_reduced_one_is_refused(grocer: Client) -> None:
    add_rate(grocer, typed_rate("standard", "19", "2021-01-01"))
    add_rate(grocer, typed_rate("reduced", "7", "2021-01-01"))
    standard = TaxRate.objects.get(tax_class="standard")

    form = opened(grocer, page_of(standard)) | {"holds_from": "2022-01-01"}

    assert "so there is a hole" in words(grocer.post(page_of(standard), form).content)
    assert TaxRate.objects.get(pk=standard.pk).holds_from == date(2021, 1, 1)


def test_two_who_add_a_rate_of_one_day_leave_one(grocer: Client) -> None:
    form = opened(grocer, f"{RATES}add/") | typed_rate("standard", "16", "2021-01-01")

    def save() -> str:
        try:
            return words(grocer.post(f"{RATES}add/", form).content)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            TaxRate.objects.create(**typed_rate("standard", "19", "2021-01-01"))
            saved = pool.submit(save)
            until_somebody_waits("waiting for the other's rate")
        assert "overlap: both begin on the same day" in saved.result(timeout=20)

    assert TaxRate.objects.get().percent == 19


def test_deleted_standard_rate_leaves_a_warning_of_the_hole(grocer: Client) -> None:
    add_rate(grocer, typed_rate("standard", "19", "2021-01-01"))
    add_rate(grocer, typed_rate("reduced", "7", "2021-01-01"))
    standard = TaxRate.objects.get(tax_class="standard")

    address = page_of(standard).replace("change", "delete")
    page = grocer.post(address, {"post": "yes"}, follow=True)

    assert "“DE reduced: 7 % from 2021-01-01” has no standard rate" in words(page.content)


# Discount codes


def add_code(client: Client, **typed: str) -> str:
    form = opened(client, f"{CODES}add/") | typed
    answer = client.post(f"{CODES}add/", form)
    return "" if answer.status_code == 302 else words(answer.content)


def test_code_is_typed_in_any_capitals_and_its_amount_in_the_main_unit(grocer: Client) -> None:
    assert add_code(grocer, code="spring-5", kind="amount", amount_minor="5.50") == ""

    code = DiscountCode.objects.get()
    assert (code.code, code.amount_minor, code.least_goods_minor) == ("SPRING-5", 550, 0)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"kind": "percent"}, "How many per cent"),
        ({"kind": "percent", "percent": "0"}, "How many per cent"),
        ({"kind": "percent", "percent": "101"}, "less than or equal to 100"),
        ({"kind": "amount"}, "More than nothing"),
        ({"kind": "free_delivery", "percent": "5"}, "Leave it empty"),
        ({"kind": "percent", "percent": "5", "amount_minor": "5"}, "Leave it empty"),
        (
            {"kind": "free_delivery", "starts_on": "2026-12-02", "ends_on": "2026-12-01"},
            "before the first",
        ),
        ({"kind": "free_delivery", "code": "TWO WORDS"}, "Capital letters, digits, hyphens"),
        ({"kind": "free_delivery", "code": "taken"}, "already exists"),
    ],
)
def test_code_that_gives_nothing_or_two_things_is_refused(
    grocer: Client, typed: dict[str, str], said: str
) -> None:
    DiscountCode.objects.create(code="TAKEN", kind="free_delivery")

    assert said in add_code(grocer, **{"code": "NEW"} | typed)
    assert DiscountCode.objects.count() == 1


def used_code(product: Product) -> DiscountCode:
    code = DiscountCode.objects.create(code="WELCOME", kind="free_delivery", limit=5, used=1)
    CodeUse.objects.create(order=placed_order(product), code=code, customer_key="k")
    return code


def test_uses_counted_while_the_page_is_open_stay_counted(
    grocer: Client, shelf: list[Product]
) -> None:
    code = used_code(shelf[0])
    form = opened(grocer, page_of(code))
    DiscountCode.objects.filter(pk=code.pk).update(used=3)

    assert "3 orders have it already" in words(
        grocer.post(page_of(code), form | {"limit": "2"}).content
    )
    assert grocer.post(page_of(code), form | {"limit": "3"}).status_code == 302
    code.refresh_from_db()
    assert (code.used, code.limit) == (3, 3)


def test_page_of_a_code_leads_support_to_its_orders(
    support: Client, grocer: Client, shelf: list[Product]
) -> None:
    code = used_code(shelf[0])
    order = placed_order(shelf[0])
    order.discount_code = code.code
    order.save(update_fields=["discount_code"])

    page = support.get(page_of(code)).content.decode()
    [address] = re.findall(r'href="(/admin/orders/order/\?discount_code=[^"]+)"', page)

    assert order.number in support.get(address).content.decode()
    assert address not in grocer.get(page_of(code)).content.decode()


def test_code_that_orders_have_is_turned_off_and_not_deleted(
    grocer: Client, shelf: list[Product]
) -> None:
    code = used_code(shelf[0])
    unused = DiscountCode.objects.create(code="UNUSED", kind="free_delivery")
    delete = page_of(code).replace("change", "delete")

    assert "WELCOME: orders have this code. Turn it off instead." in words(
        grocer.post(delete, {"post": "yes"}).content
    )
    grocer.post(page_of(unused).replace("change", "delete"), {"post": "yes"})
    assert DiscountCode.objects.get() == code
    off = {"action": "turn_off", "_selected_action": str(code.pk)}
    assert "1 codes were turned off" in words(grocer.post(CODES, off, follow=True).content)
    assert not DiscountCode.objects.get().is_on
    assert "delete_selected" not in grocer.get(CODES).content.decode()


# Products


def test_weight_and_class_of_a_product_are_typed(grocer: Client, shelf: list[Product]) -> None:
    address = f"/admin/catalogue/product/{shelf[0].pk}/change/"
    form = opened(grocer, address) | {"weight_grams": "250", "tax_class": "reduced"}
    form.pop("is_delivered")

    assert grocer.post(address, form).status_code == 302

    product = Product.objects.get(pk=shelf[0].pk)
    assert (product.weight_grams, product.tax_class, product.is_delivered) == (
        250,
        "reduced",
        False,
    )


def test_new_product_has_a_weight_and_a_class(grocer: Client) -> None:
    address = "/admin/catalogue/product/add/"
    form = opened(grocer, address) | {"sku": "CARD", "name": "Card", "slug": "card"}
    form |= {"price_minor": "5", "pieces": "1", "weight_grams": "12", "tax_class": "zero"}

    assert grocer.post(address, form).status_code == 302

    card = Product.objects.get()
    assert (card.weight_grams, card.tax_class, card.is_delivered) == (12, "zero", True)


# Who may


@pytest.mark.parametrize("page", [RATES, METHODS, CODES])
def test_others_look_and_change_nothing(support: Client, grocer: Client, page: str) -> None:
    assert (support.get(page).status_code, support.get(f"{page}add/").status_code) == (200, 403)
    assert (grocer.get(page).status_code, grocer.get(f"{page}add/").status_code) == (200, 200)
    refused = support.post(page_of(delivery_method("Parcel", {})), {"name": "Mine"})
    assert refused.status_code == 403
