"""The shopper pays the total of the page they submitted, or is asked again (I6), although country,
way of delivery and code are chosen after the page was made."""

from datetime import date

import pytest
from django.core import signing
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from checkout.catalogue.models import DeliveryMethod, DeliveryPrice, Product
from checkout.models import Cart
from checkout.orders.models import CodeUse, Order
from checkout.tokens import SALT
from tests.support.rules import delivery_method, discount_code, tax_rate
from tests.support.shelves import on_the_shelf
from tests.support.shopper import Answer, InProcess, Shopper, read_form

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def parcel(shelf: list[Product]) -> DeliveryMethod:
    tax_rate("DE", "19")
    tax_rate("IE", "23")
    return delivery_method("Parcel", {"DE": 490, "IE": 990}, position=1)


@pytest.fixture
def shopper(parcel: DeliveryMethod) -> Shopper:
    shopper = Shopper(InProcess())
    shopper.add_to_cart("SKU-01", 2)  # 2002 minor units
    return shopper


def update(shopper: Shopper, form: dict[str, str]) -> Answer:
    return shopper.web.post("/checkout/", form | {"update_total": "1"})


def again(answer: Answer) -> dict[str, str]:
    return read_form(answer.text, "/checkout/")


def test_first_total_is_for_the_country_of_the_shop(shopper: Shopper) -> None:
    page = shopper.web.get("/checkout/")

    assert "Delivery (Parcel) €4.90" in page.words
    assert "Total €24.92" in page.words
    assert "Includes 19 % VAT €3.98" in page.words
    assert read_form(page.text, "/checkout/")["country"] == "DE"


def test_country_that_changes_the_total_is_asked_about_once(shopper: Shopper) -> None:
    asked = shopper.submit(shopper.open_checkout())  # which types IE

    assert asked.status == 409
    assert "€24.92 when you opened this page and is €29.92 now" in asked.words
    assert "What differs: Delivery." in asked.words
    assert not Order.objects.exists()
    assert Cart.objects.get().closed_at is None
    form = again(asked)
    assert form["country"] == "IE"
    assert form["full_name"] == "Ada Quillfeather"

    assert shopper.submit(form).status == 303
    order = Order.objects.get()
    assert (order.total_minor, order.goods_minor, order.delivery_minor) == (2992, 2002, 990)
    assert order.taxes == [{"percent": "23", "net_minor": 2433, "tax_minor": 559}]
    assert order.delivery_name == "Parcel"


def test_parts_that_differ_within_the_same_total_stop_nobody(
    shopper: Shopper, parcel: DeliveryMethod
) -> None:
    DeliveryPrice.objects.filter(method=parcel).update(price_minor=490)

    assert shopper.submit(shopper.open_checkout()).status == 303
    assert Order.objects.get().taxes[0]["percent"] == "23"


@pytest.mark.parametrize("path", ["/checkout/", "/checkout/total/"])
def test_update_shows_the_total_and_writes_nothing(shopper: Shopper, path: str) -> None:
    form = shopper.open_checkout() | {"email": "", "update_total": "1"}
    with CaptureQueriesContext(
        connection,
    ) as asked:
        answer = shopper.web.post(path, form)

    assert answer.status == 200
    assert "Total €29.92" in answer.words
    assert "field-error" not in answer.text
    written = [
        each["sql"] for each in asked if not each["sql"].startswith(("SELECT", "\n    SELECT"))
    ]
    assert written == []


def test_press_that_the_total_leaves_as_it_is_is_the_same_text(shopper: Shopper) -> None:
    """The page's script replaces what differs, and what is replaced loses a press on it."""
    page = shopper.web.get("/checkout/")

    total = shopper.web.post("/checkout/total/", read_form(page.text, "/checkout/"))

    on_the_page, answered = (each.text.partition('id="press"')[2] for each in (page, total))
    assert "Place order" in answered.partition("</div>")[0]
    assert on_the_page.partition("</div>")[0] == answered.partition("</div>")[0]


def test_updated_page_buys_what_it_shows(shopper: Shopper) -> None:
    form = again(update(shopper, shopper.open_checkout()))

    assert form["city"] == "Cork"
    assert shopper.submit(form).status == 303
    assert Order.objects.get().total_minor == 2992


def test_code_lowers_the_total_and_is_counted(shopper: Shopper) -> None:
    code = discount_code("SPRING", percent="10", limit=1)
    form = again(update(shopper, shopper.open_checkout() | {"code": " spring "}))

    assert shopper.submit(form).status == 303
    order = Order.objects.get()
    assert (order.discount_code, order.discount_minor, order.total_minor) == ("SPRING", 200, 2792)
    assert sum(line.discount_minor for line in order.lines.all()) == 200
    code.refresh_from_db()
    assert code.used == 1
    assert CodeUse.objects.get().order == order


def test_code_that_was_typed_and_not_shown_is_asked_about(shopper: Shopper) -> None:
    discount_code("SPRING")
    form = again(update(shopper, shopper.open_checkout()))

    asked = shopper.submit(form | {"code": "SPRING"})

    assert asked.status == 409
    assert "What differs: Discount." in asked.words
    assert again(asked)["code"] == "SPRING"


def test_wrong_code_is_refused_at_its_field(shopper: Shopper) -> None:
    form = again(update(shopper, shopper.open_checkout()))

    refused = shopper.submit(form | {"code": "NOSUCH"})

    assert refused.status == 422
    assert "There is no such code." in refused.words
    assert again(refused)["code"] == "NOSUCH"
    assert not Order.objects.exists()


def test_method_that_does_not_go_there_is_refused_at_its_field(shopper: Shopper) -> None:
    local = delivery_method("Bicycle", {"DE": 200}, position=2)
    form = again(update(shopper, shopper.open_checkout()))

    refused = shopper.submit(form | {"delivery_method": str(local.pk)})

    assert refused.status == 422
    assert "not offered for your order" in refused.words
    assert not Order.objects.exists()


def test_country_without_a_price_says_so(shopper: Shopper) -> None:
    form = shopper.open_checkout() | {"country": "JP"}

    assert "We do not deliver these goods to this country: Japan." in update(shopper, form).words
    refused = shopper.submit(form)
    assert refused.status == 422
    assert "We do not deliver these goods to this country: Japan." in refused.words


def test_chosen_method_is_paid(shopper: Shopper) -> None:
    express = delivery_method("Express", {"IE": 1990}, position=2, duration="1 day")
    form = again(update(shopper, shopper.open_checkout()))
    assert form["delivery_method"] != str(express.pk)

    form = again(update(shopper, form | {"delivery_method": str(express.pk)}))

    assert form["delivery_method"] == str(express.pk)
    assert shopper.submit(form).status == 303
    assert Order.objects.get().delivery_minor == 1990


def test_code_for_everything_needs_no_payment(shopper: Shopper) -> None:
    discount_code("GIFT", percent="100")
    DeliveryPrice.objects.update(price_minor=0)
    form = again(update(shopper, shopper.open_checkout() | {"code": "GIFT"}))

    assert "payment_method" not in form
    assert shopper.submit(form).status == 303
    assert Order.objects.get().status == "paid"


def test_code_for_everything_that_goes_away_is_asked_about(shopper: Shopper) -> None:
    """The form that comes back asks how to pay, which the first did not."""
    discount_code("GIFT", percent="100")
    DeliveryPrice.objects.update(price_minor=0)
    form = again(update(shopper, shopper.open_checkout() | {"code": "GIFT"}))

    asked = shopper.submit(form | {"code": ""})

    assert asked.status == 409
    assert "payment_method" in again(asked)


def test_telephone_number_is_asked_for_where_the_carrier_needs_it(
    shopper: Shopper, parcel: DeliveryMethod
) -> None:
    DeliveryMethod.objects.update(needs_phone=True)
    form = again(update(shopper, shopper.open_checkout()))

    refused = shopper.submit(form)

    assert refused.status == 422
    assert "asks for a telephone number" in refused.words


def test_voucher_alone_needs_no_delivery(shopper: Shopper) -> None:
    Product.objects.update(is_delivered=False)

    page = shopper.web.get("/checkout/")

    assert "Total €20.02" in page.words
    assert "delivery_method" not in read_form(page.text, "/checkout/")


def test_price_of_delivery_that_staff_change_is_asked_about(
    shopper: Shopper, parcel: DeliveryMethod
) -> None:
    form = again(update(shopper, shopper.open_checkout()))
    DeliveryPrice.objects.update(price_minor=1000)

    asked = shopper.submit(form)

    assert asked.status == 409
    assert "€29.92 when you opened this page and is €30.02 now" in asked.words


def test_tax_of_the_united_states_is_no_vat(shopper: Shopper) -> None:
    tax_rate("US", "7.25", region="CA")
    delivery_method("Air mail", {"US": 1990}, position=2)

    answer = update(shopper, shopper.open_checkout() | {"country": "US", "region": "CA"})

    assert "Includes 7.25 % sales tax" in answer.words


def test_added_tax_is_compared_too(shopper: Shopper, settings: Settings) -> None:
    settings.PRICES_INCLUDE_TAX = False
    form = again(update(shopper, shopper.open_checkout()))
    tax_rate("IE", "24", holds_from=date(2026, 1, 1))

    asked = shopper.submit(form)

    assert asked.status == 409
    assert "What differs: VAT." in asked.words


def test_form_of_the_release_before_is_asked_about_its_delivery(shopper: Shopper) -> None:
    form = shopper.open_checkout()
    content = signing.loads(form["token"], salt=SALT)
    content[3] = 2002  # what that release showed: goods alone
    older = form | {"token": signing.dumps(content[:7], salt=SALT)}

    asked = shopper.submit(older)

    assert asked.status == 409
    assert "€20.02 when you opened this page and is €29.92 now" in asked.words
    assert shopper.submit(again(asked)).status == 303


def test_press_makes_eight_statements_with_delivery_and_tax(shopper: Shopper) -> None:
    form = again(update(shopper, shopper.open_checkout()))

    with CaptureQueriesContext(connection) as made:
        assert shopper.submit(form).status == 303

    statements = [each["sql"] for each in made]
    assert Order.objects.get().delivery_minor == 990
    placing = [sql for sql in statements if "new_order" in sql]
    assert len(placing) == 1  # at once, and not row by row
    assert len(statements) <= 8 + 4, statements


@pytest.mark.parametrize("articles", [1, 9])
def test_checkout_page_makes_the_same_statements_for_any_number(
    shopper: Shopper, articles: int
) -> None:
    on_the_shelf(
        Product(sku=f"MORE-{n}", name=f"More {n}", slug=f"more-{n}", price_minor=100, stock=9)
        for n in range(articles)
    )
    for n in range(articles):
        shopper.add_to_cart(f"MORE-{n}")
        delivery_method(f"Method {n}", {"DE": n, "IE": n, "": n})
        tax_rate("DE", str(n), region=f"R{n}")

    with CaptureQueriesContext(connection) as made:
        page = shopper.web.get("/checkout/")

    assert f"Method {articles - 1}" in page.words
    assert len(made) <= 12
