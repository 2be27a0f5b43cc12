"""The texts that a shop must show: linked where the law wants them, or not there at all."""

import re
from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.texts import read
from checkout.texts.markup import html_of
from checkout.texts.models import ShopText, TextKind
from tests.support.shopper import Shopper

GERMAN = {"headers": {"accept-language": "de-DE"}}
LINKED = ["imprint", "terms", "privacy", "withdrawal"]
BEFORE_THE_BUTTON = ["terms", "privacy", "withdrawal"]


@pytest.fixture(autouse=True)
def _pages_ask() -> Iterator[None]:
    read.forget()
    yield
    read.forget()


def write(kind: str, language: str = "en", body: str = "Words.", **fields: object) -> ShopText:
    read.forget()
    return ShopText.objects.create(
        kind=kind, language=language, title=f"{kind} in {language}", body=body, **fields
    )


def linked(page: str) -> list[str]:
    return re.findall(r'href="/pages/(\w+)/"', page)


def footer(page: str) -> str:
    return page[page.index("<footer") :]


def test_every_page_links_what_is_written_and_nothing_else(shopper: Shopper) -> None:
    shopper.add_to_cart("SKU-01")
    pages = ["/", "/products/notebook-01/", "/cart/", "/checkout/", "/delivery/", "/orders/find/"]
    pages += ["/account/sign-in/", "/nowhere/"]
    assert all(linked(shopper.web.get(page).text) == [] for page in pages)

    for kind in TextKind:
        write(kind)

    shopper.web.get("/")  # an error page shows what is known, and asks for nothing
    for page in pages:
        assert linked(footer(shopper.web.get(page).text)) == LINKED, page


def test_text_that_is_not_written_has_no_page(client: Client, db: None) -> None:
    for kind in [*TextKind, "nothing"]:
        assert client.get(f"/pages/{kind}/").status_code == 404

    write("terms")
    write("welcome")

    assert client.get("/pages/terms/").status_code == 200
    assert client.get("/pages/welcome/").status_code == 404
    assert linked(client.get("/").content.decode()) == ["terms"]


def test_checkout_shows_them_before_the_button(shopper: Shopper) -> None:
    shopper.add_to_cart("SKU-01")
    for kind in TextKind:
        write(kind)

    page = shopper.web.get("/checkout/").text

    before, _, after = page.partition("data-place>")
    assert linked(before) == BEFORE_THE_BUTTON
    assert linked(after) == LINKED
    # What was typed stays where it is.
    assert before.count('target="_blank">') == len(BEFORE_THE_BUTTON)


@pytest.mark.parametrize(
    ("written", "shop", "read_in_english", "read_in_german"),
    [
        (["en", "de"], "en", "en", "de"),
        (["en"], "en", "en", "en"),
        (["de"], "de", "de", "de"),
        (["de"], "en", "de", "de"),
    ],
)
def test_text_is_read_in_the_visitors_language_or_else_in_the_shops(
    client: Client,
    db: None,
    settings: Settings,
    written: list[str],
    shop: str,
    read_in_english: str,
    read_in_german: str,
) -> None:
    settings.LANGUAGE_CODE = shop
    for language in written:
        write("terms", language)

    for expected, headers in ((read_in_english, {}), (read_in_german, GERMAN)):
        page = client.get("/pages/terms/", **headers).content.decode()  # type: ignore[arg-type] # headers
        assert f'lang="{expected}">\n<h1>terms in {expected}</h1>' in page


def test_links_are_named_in_the_visitors_language(client: Client, db: None) -> None:
    write("imprint")

    page = client.get("/orders/find/", headers={"accept-language": "de"}).content.decode()

    assert ">Impressum</a>" in page


def test_what_looks_like_html_is_shown_as_typed(client: Client, db: None) -> None:
    write("terms", body='<script>alert(1)</script>\n\n<a href="javascript:x">y</a> & "z"')

    page = client.get("/pages/terms/").content.decode()

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert 'href="javascript' not in page


def test_text_has_paragraphs_headings_lists_and_links() -> None:
    body = (
        "Shop\r\nStreet 1\r\n\r\n# How to reach us\r\nMail: a@shop.example\r\n \r\n"
        "- one\r\n- two\r\n\r\n#1 in town, see https://shop.example/x?a=1&b=2."
    )

    assert html_of(body) == (
        "<p>Shop<br>Street 1</p>\n<h2>How to reach us</h2>\n"
        '<p>Mail: <a href="mailto:a@shop.example">a@shop.example</a></p>\n'
        "<ul><li>one</li><li>two</li></ul>\n"
        '<p>#1 in town, see <a href="https://shop.example/x?a=1&amp;b=2">'
        "https://shop.example/x?a=1&amp;b=2</a>.</p>"
    )
    assert html_of("") == ""


@pytest.mark.parametrize("is_demo", [True, False])
def test_demo_text_says_so_at_its_top(client: Client, db: None, is_demo: bool) -> None:
    write("privacy", is_demo=is_demo)
    write("delivery", is_demo=is_demo)
    mark = "Demo text: replace it before you sell."

    page = client.get("/pages/privacy/").content.decode()
    assert (mark in page.partition("<h1>")[0]) is is_demo
    assert (mark in client.get("/delivery/").content.decode()) is is_demo


def test_delivery_has_one_page_with_the_shops_own_words(client: Client, db: None) -> None:
    assert "own-text" not in client.get("/delivery/").content.decode()
    write("delivery", body="# Packing\n\nBy hand.")

    answer = client.get("/pages/delivery/")

    assert (answer.status_code, answer["Location"]) == (302, "/delivery/")
    page = client.get("/delivery/").content.decode()
    assert '<h2 id="own-text">delivery in en</h2>' in page
    assert "<h3>Packing</h3>\n<p>By hand.</p>" in page


def test_first_page_greets_with_the_shops_words_or_with_none(client: Client, db: None) -> None:
    page = client.get("/").content.decode()
    assert "<h1>Shelves</h1>" in page
    assert 'class="lead"' not in page

    write("welcome", body="Tea & more")

    page = client.get("/").content.decode()
    assert "<h1>welcome in en</h1>" in page
    assert "<title>welcome in en · Shop</title>" in page
    assert '<p class="lead">Tea &amp; more</p>' in page


def asked(client: Client, page: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(page).status_code == 200
    return sum(ShopText._meta.db_table in query["sql"] for query in captured)


def test_links_cost_one_statement_in_ten_seconds(
    client: Client, shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post("/cart/add/", {"sku": "SKU-01", "quantity": "1", "press": ""})
    for kind in TextKind:
        write(kind)
    now = 1000.0
    monkeypatch.setattr("checkout.texts.read.time.monotonic", lambda: now)
    read.forget()

    assert asked(client, "/checkout/") == 1
    assert [asked(client, page) for page in ("/checkout/", "/", "/cart/")] == [0, 0, 0]
    # The text itself is read each time, so that staff see what they saved.
    assert asked(client, "/pages/terms/") == 1
    now += 10
    assert asked(client, "/checkout/") == 1


def test_footer_takes_no_page_down(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("terms")
    client.get("/")
    read._kept.good_until = 0

    def refuse(*args: object) -> None:
        if ShopText._meta.db_table in str(args[1]):
            raise DatabaseError("no such table")
        return args[0](*args[1:])  # type: ignore[operator, no-any-return] # Django's

    with connection.execute_wrapper(refuse):
        answer = client.get("/orders/find/")

    assert answer.status_code == 200
    assert linked(answer.content.decode()) == ["terms"]


def test_error_pages_ask_for_no_texts(client: Client, db: None) -> None:
    write("terms")

    with CaptureQueriesContext(connection) as captured:
        assert client.get("/nowhere/").status_code == 404

    assert not [query for query in captured if ShopText._meta.db_table in query["sql"]]
