"""Tax rates, delivery methods with their prices and discount codes, as staff type them."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from checkout.catalogue.models import (
    DeliveryMethod,
    DeliveryPrice,
    DiscountCode,
    Product,
    TaxRate,
)
from checkout.orders.models import CodeUse
from tests.admin.test_products import opened, words
from tests.support.factories import placed_order
from tests.support.waiting import until_somebody_waits

RATES = "/admin/catalogue/taxrate/"
METHODS = "/admin/catalogue/deliverymethod/"
CODES = "/admin/catalogue/discountcode/"

Row = tuple[str, str, str, str]


def page_of(thing: TaxRate | DeliveryMethod | DiscountCode) -> str:
    return f"/admin/catalogue/{thing._meta.model_name}/{thing.pk}/change/"


def with_rows(form: dict[str, str], *rows: Row, first: int = 0) -> dict[str, str]:
    """The form with rows of the price table: country, from, below, price."""
    typed: dict[str, str] = {}
    for number, row in enumerate(rows, first):
        names = ("country", "at_least", "below", "price_minor")
        typed |= {f"prices-{number}-{name}": value for name, value in zip(names, row, strict=True)}
    return form | typed


def prices(method: DeliveryMethod) -> list[tuple[str, int, int | None, int]]:
    rows = DeliveryPrice.objects.filter(method=method)
    return list(rows.values_list("country", "at_least", "below", "price_minor"))


@pytest.fixture
def parcel(transactional_db: None) -> DeliveryMethod:
    method = DeliveryMethod.objects.create(name="Parcel", is_priced_by_weight=True)
    method.prices.create(country="DE", at_least=0, below=2000, price_minor=490)
    method.prices.create(country="DE", at_least=2000, below=None, price_minor=790)
    return method


# Delivery methods


def test_method_is_made_with_its_prices_in_the_main_unit(grocer: Client) -> None:
    form = opened(grocer, f"{METHODS}add/") | {"name": "Express", "duration": "1 day"}
    rows = [("DE", "0", "50", "9.90"), ("DE", "50,00", "", "0"), ("", "0", "", "19")]

    answer = grocer.post(f"{METHODS}add/", with_rows(form, *rows))

    assert answer.status_code == 302, words(answer.content)
    method = DeliveryMethod.objects.get()
    assert not method.is_priced_by_weight
    assert prices(method) == [("", 0, None, 1900), ("DE", 0, 5000, 990), ("DE", 5000, None, 0)]


def test_table_of_a_method_by_weight_is_typed_in_grams(grocer: Client) -> None:
    form = opened(grocer, f"{METHODS}add/") | {"name": "Letter", "is_priced_by_weight": "on"}

    answer = grocer.post(f"{METHODS}add/", with_rows(form, ("DE", "0", "500", "1.85")))

    assert answer.status_code == 302, words(answer.content)
    assert prices(DeliveryMethod.objects.get()) == [("DE", 0, 500, 185)]
    page = grocer.get(page_of(DeliveryMethod.objects.get())).content.decode()
    assert 'name="prices-0-below" value="500"' in page
    assert 'name="prices-0-price_minor" value="1.85"' in page


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [("DE", "0", "1000", "4.90"), ("DE", "2000", "", "7.90")],
            "Between “Germany: from 0 g to below 1 kg” and “Germany: from 2 kg without an end” is "
            "a hole",
        ),
        (
            [("", "0", "2500", "4.90"), ("", "2000", "", "7.90")],
            "“Everywhere else: from 0 g to below 2.5 kg” and “Everywhere else: from 2 kg without "
            "an end” overlap",
        ),
        ([("DE", "0", "", "4.90"), ("DE", "0", "", "7.90")], "overlap"),
        ([("DE", "100", "", "4.90")], "The first row begins at 0 g"),
        ([("DE", "0", "0", "4.90")], "ends before it begins"),
    ],
)
def test_table_with_a_hole_or_an_overlap_names_its_rows_and_is_not_saved(
    grocer: Client, rows: list[Row], said: str
) -> None:
    form = opened(grocer, f"{METHODS}add/") | {"name": "Letter", "is_priced_by_weight": "on"}

    refused = grocer.post(f"{METHODS}add/", with_rows(form, *rows))

    assert refused.status_code == 200
    assert said in words(refused.content)
    assert not DeliveryMethod.objects.exists()


def test_rows_move_their_limit_in_one_save(grocer: Client, parcel: DeliveryMethod) -> None:
    form = opened(grocer, page_of(parcel))
    moved = {"prices-0-below": "3000", "prices-1-at_least": "3000", "prices-1-below": "5000"}

    answer = grocer.post(
        page_of(parcel), with_rows(form | moved, ("DE", "5000", "", "12"), first=2)
    )

    assert answer.status_code == 302, words(answer.content)
    assert prices(parcel) == [
        ("DE", 0, 3000, 490),
        ("DE", 3000, 5000, 790),
        ("DE", 5000, None, 1200),
    ]


def test_row_takes_the_beginning_of_the_next_one_in_one_save(
    grocer: Client, parcel: DeliveryMethod
) -> None:
    """Saved one after the other, two rows begin at 2000 for a moment."""
    form = opened(grocer, page_of(parcel))
    swapped = {"prices-0-at_least": "2000", "prices-0-below": "", "prices-1-at_least": "0"}

    answer = grocer.post(page_of(parcel), form | swapped | {"prices-1-below": "2000"})

    assert answer.status_code == 302, words(answer.content)
    assert prices(parcel) == [("DE", 0, 2000, 790), ("DE", 2000, None, 490)]


def test_deleted_row_leaves_no_hole(grocer: Client, parcel: DeliveryMethod) -> None:
    form = opened(grocer, page_of(parcel))

    refused = grocer.post(page_of(parcel), form | {"prices-0-DELETE": "on"})

    assert "is the first row of its country" in words(refused.content)
    assert grocer.post(page_of(parcel), form | {"prices-1-DELETE": "on"}).status_code == 302
    assert prices(parcel) == [("DE", 0, 2000, 490)]


def test_price_that_was_not_changed_here_stays_as_somebody_else_saved_it(
    grocer: Client, parcel: DeliveryMethod
) -> None:
    form = opened(grocer, page_of(parcel))
    parcel.prices.filter(at_least=0).update(price_minor=520)
    DeliveryMethod.objects.filter(pk=parcel.pk).update(is_on=False)

    answer = grocer.post(page_of(parcel), form | {"name": "Box", "prices-0-country": "DE"})

    assert answer.status_code == 302
    parcel.refresh_from_db()
    assert (parcel.name, parcel.is_on) == ("Box", False)
    assert prices(parcel)[0] == ("DE", 0, 2000, 520)


def test_price_that_two_people_change_is_asked_about(
    grocer: Client, parcel: DeliveryMethod
) -> None:
    form = opened(grocer, page_of(parcel))
    parcel.prices.filter(at_least=0).update(price_minor=520)

    refused = grocer.post(page_of(parcel), form | {"prices-0-price_minor": "5.50"})

    assert "it was “4.90” and is “5.20” now" in words(refused.content)
    assert prices(parcel)[0] == ("DE", 0, 2000, 520)


def test_row_that_somebody_else_deleted_is_told(grocer: Client, parcel: DeliveryMethod) -> None:
    form = opened(grocer, page_of(parcel))
    parcel.prices.filter(at_least=2000).delete()

    refused = grocer.post(page_of(parcel), form | {"prices-1-price_minor": "9"})

    assert "Somebody else deleted a row" in words(refused.content)


def test_two_who_save_one_table_at_once_leave_no_overlap(
    grocer: Client, parcel: DeliveryMethod
) -> None:
    """Each adds a row for Austria, which is whole as the page showed the table."""
    form = opened(grocer, page_of(parcel))
    mine = with_rows(form, ("AT", "0", "", "9"), first=2)

    def save() -> str:
        try:
            return words(grocer.post(page_of(parcel), mine).content)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            DeliveryMethod.objects.select_for_update().get(pk=parcel.pk)
            parcel.prices.create(country="AT", at_least=0, below=500, price_minor=700)
            saved = pool.submit(save)
            until_somebody_waits("waiting for the other's table")
        refused = saved.result(timeout=20)

    assert (
        "“Austria: from 0 g to below 500 g” and “Austria: from 0 g without an end” over" in refused
    )
    assert [row for row in prices(parcel) if row[0] == "AT"] == [("AT", 0, 500, 700)]


def test_what_a_method_is_priced_by_is_not_changed_later(
    grocer: Client, parcel: DeliveryMethod
) -> None:
    form = opened(grocer, page_of(parcel))

    assert "is_priced_by_weight" not in form
    grocer.post(page_of(parcel), form | {"is_priced_by_weight": ""})
    parcel.refresh_from_db()
    assert parcel.is_priced_by_weight


def test_tracking_address_says_where_the_number_goes(
    grocer: Client, parcel: DeliveryMethod
) -> None:
    form = opened(grocer, page_of(parcel)) | {"tracking_address": "https://parcels.example"}

    assert "holds {number}" in words(grocer.post(page_of(parcel), form).content)


def test_method_is_deleted_with_its_prices(grocer: Client, parcel: DeliveryMethod) -> None:
    grocer.post(page_of(parcel).replace("change", "delete"), {"post": "yes"})

    assert not DeliveryMethod.objects.exists()
    assert not DeliveryPrice.objects.exists()


def test_page_of_a_method_takes_as_many_statements_for_forty_rows(
    grocer: Client, parcel: DeliveryMethod
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert grocer.get(page_of(parcel)).status_code == 200
        return len(captured)

    statements()  # the first one also reads what is kept in memory
    few = statements()
    for number in range(40):
        parcel.prices.create(country="", at_least=number, below=number + 1, price_minor=1)

    assert statements() == few


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
def test_others_look_and_change_nothing(
    support: Client, grocer: Client, parcel: DeliveryMethod, page: str
) -> None:
    assert (support.get(page).status_code, support.get(f"{page}add/").status_code) == (200, 403)
    assert (grocer.get(page).status_code, grocer.get(f"{page}add/").status_code) == (200, 200)
    refused = support.post(page_of(parcel), {"name": "Mine"})
    assert refused.status_code == 403
