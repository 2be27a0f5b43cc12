"""What the shop says of delivery prices and tax before anything is ordered."""

from datetime import date, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import DeliveryMethod, DeliveryPrice, Product, TaxRate
from tests.support.rules import delivery_method, tax_rate
from tests.support.shopper import Shopper

PAGE = "/delivery/"


@pytest.fixture
def parcel(transactional_db: None) -> DeliveryMethod:
    method = delivery_method(
        "Parcel", {}, is_priced_by_weight=True, duration="2–3 days", position=1
    )
    for country in ("DE", "AT"):
        method.prices.create(country=country, at_least=0, below=1000, price_minor=490)
        method.prices.create(country=country, at_least=1000, below=31_500, price_minor=690)
    return method


@pytest.fixture
def express(transactional_db: None) -> DeliveryMethod:
    method = delivery_method("Express", {"": 1990}, position=2)
    method.prices.create(country="DE", at_least=0, below=5000, price_minor=990)
    method.prices.create(country="DE", at_least=5000, below=None, price_minor=0)
    return method


def statements(client: Client, page: str) -> int:
    client.get(page)  # reads what is kept in memory
    with CaptureQueriesContext(connection) as captured:
        assert client.get(page).status_code == 200
    return len(captured)


def test_prices_are_grouped_by_country_and_told_in_words(
    shopper: Shopper, parcel: DeliveryMethod, express: DeliveryMethod
) -> None:
    words = shopper.web.get(PAGE).words

    assert "We deliver to every country." in words
    assert (
        "Parcel 2–3 days Weight Price Austria, Germany below 1 kg €4.90 "
        "from 1 kg, below 31.5 kg €6.90 from 31.5 kg not this way"
    ) in words
    assert (
        "Express Value of the goods Price Germany below €50.00 €9.90 from €50.00 free "
        "All other countries any €19.90"
    ) in words


def test_countries_are_named_where_the_shop_does_not_go_everywhere(
    shopper: Shopper, parcel: DeliveryMethod
) -> None:
    DeliveryMethod.objects.create(name="Off", is_on=False)
    DeliveryMethod.objects.create(name="Without prices")

    words = shopper.web.get(PAGE).words

    assert "We deliver to: Austria, Germany." in words
    assert "Off" not in words
    assert "Without prices" not in words


def test_shop_without_methods_delivers_for_nothing(shopper: Shopper) -> None:
    assert "delivery costs nothing" in shopper.web.get(PAGE).words


def test_shop_whose_methods_are_all_off_says_so(shopper: Shopper, parcel: DeliveryMethod) -> None:
    DeliveryMethod.objects.update(is_on=False)

    assert "We do not deliver anything just now" in shopper.web.get(PAGE).words


def test_number_of_statements_is_the_same_for_many_prices(
    client: Client, parcel: DeliveryMethod
) -> None:
    few = statements(client, PAGE)
    for number in range(8):
        method = DeliveryMethod.objects.create(name=f"Method {number}")
        DeliveryPrice.objects.bulk_create(
            DeliveryPrice(method=method, country=country, price_minor=number)
            for country in ("DE", "FR", "GB", "US", "")
        )

    assert statements(client, PAGE) == few <= 4


def test_footer_of_every_page_leads_there(shopper: Shopper) -> None:
    for page in ("/", "/cart/", "/orders/find/", "/no-such-page/"):
        assert f'href="{PAGE}"' in shopper.web.get(page).text


def test_page_is_german_too(client: Client, parcel: DeliveryMethod) -> None:
    page = client.get(PAGE, headers={"Accept-Language": "de"}).content.decode()

    for words in ("unter 1 kg", "ab 31,5 kg", "Deutschland, Österreich", "4,90"):
        assert words in page, words


# The note beside prices


def notes(shopper: Shopper) -> list[str]:
    shopper.add_to_cart("SKU-01")
    found = []
    for page in ("/", "/products/notebook-01/", "/cart/"):
        text = shopper.web.get(page).text
        _, _, rest = text.partition('<p class="price-note">')
        note, _, _ = rest.partition("</p>")
        found.append(" ".join(note.split()))
    return found


LINK = '<a href="/delivery/">delivery</a>'


def test_prices_say_that_vat_is_in_them_and_delivery_is_not(
    shopper: Shopper, parcel: DeliveryMethod
) -> None:
    tax_rate("DE", "19")

    assert notes(shopper) == [f"incl. VAT, plus {LINK}"] * 3


def test_prices_without_tax_say_that_it_is_added(
    shopper: Shopper, parcel: DeliveryMethod, settings: Settings
) -> None:
    settings.PRICES_INCLUDE_TAX = False
    tax_rate("DE", "19")

    assert notes(shopper) == [f"plus VAT, plus {LINK}"] * 3


@pytest.mark.parametrize("elsewhere", [None, ("FR", date(2020, 1, 1)), ("DE", None)])
def test_shop_without_a_rate_says_nothing_of_tax(
    shopper: Shopper, parcel: DeliveryMethod, elsewhere: tuple[str, date | None] | None
) -> None:
    """Another country has one, or one begins tomorrow."""
    if elsewhere:
        country, since = elsewhere
        tomorrow = timezone.now().date() + timedelta(days=1)
        tax_rate(country, "20", holds_from=since or tomorrow)

    assert notes(shopper) == [f"plus {LINK}"] * 3


def test_shop_without_rules_has_no_note(shopper: Shopper) -> None:
    assert notes(shopper) == [""] * 3


def test_note_of_what_is_not_delivered_names_no_delivery(
    shopper: Shopper, parcel: DeliveryMethod
) -> None:
    tax_rate("DE", "19")
    Product.objects.filter(sku="SKU-01").update(is_delivered=False)

    assert notes(shopper)[1:] == ["incl. VAT"] * 2


@pytest.mark.parametrize("page", ["/", "/products/notebook-01/", "/cart/"])
def test_note_takes_one_statement_a_page(client: Client, shelf: list[Product], page: str) -> None:
    cart = {"sku": "SKU-01", "quantity": "1", "press": ""}
    client.post("/cart/add/", cart)
    with CaptureQueriesContext(connection) as captured:
        client.get(page)

    asked = [query["sql"] for query in captured if TaxRate._meta.db_table in query["sql"]]
    assert len(asked) == 1
