"""Delivery methods with their price tables, as staff type them."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from checkout.catalogue.models import (
    DeliveryMethod,
    DeliveryPrice,
)
from tests.admin.test_products import opened, words
from tests.support.waiting import until_somebody_waits

RATES = "/admin/catalogue/taxrate/"
METHODS = "/admin/catalogue/deliverymethod/"
CODES = "/admin/catalogue/discountcode/"

Row = tuple[str, str, str, str]


def page_of(thing: DeliveryMethod) -> str:
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
