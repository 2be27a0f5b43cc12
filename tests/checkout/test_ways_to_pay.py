"""A shop with several ways to pay: by country and total, chosen on the page or by a program."""

from decimal import Decimal

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OrderEvent
from checkout.orders.ways_to_pay.offers import Offer, offered, read_offers
from payments.gateways.example.client import ExampleGateway
from payments.gateways.load import Gateways
from payments.gateways.stripe.client import StripeGateway
from payments.settling.result import Result
from payments.settling.settle_order import settle_order
from tests.support.api_caller import PURCHASE, new_caller
from tests.support.shopper import Shopper, read_form

NAMES = ["stripe", "example"]


@pytest.fixture
def _two(settings: Settings) -> None:
    settings.PAYMENT_OFFERS = []
    settings.PAYMENT_GATEWAYS = {name: f"payments.gateways.{name}" for name in NAMES}


pytestmark = pytest.mark.usefixtures("_two")


@pytest.mark.parametrize(
    ("text", "offers"),
    [
        ("", []),
        ("stripe", [Offer(gateway="stripe")]),
        (
            " example DE AT >=20 <=500.00 ,stripe",
            [
                Offer(
                    gateway="example",
                    countries=frozenset({"DE", "AT"}),
                    least=Decimal(20),
                    most=Decimal(500),
                ),
                Offer(gateway="stripe"),
            ],
        ),
    ],
)
def test_offers_are_read(text: str, offers: list[Offer]) -> None:
    assert read_offers(text, NAMES) == offers


@pytest.mark.parametrize(
    "text", ["cash", "stripe,", ",", "stripe de", "stripe <500", "stripe >=1 >=2", "stripe, stripe"]
)
def test_what_cannot_be_read_as_offers_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the setting's own sentence is said elsewhere
        read_offers(text, NAMES)


@pytest.mark.parametrize(
    ("country", "total_minor", "names"),
    [
        ("IE", 2000, ["stripe"]),
        ("DE", 2000, ["example", "stripe"]),
        ("", 2000, ["example", "stripe"]),
        ("DE", 1999, ["stripe"]),
        ("AT", 50_000, ["example", "stripe"]),
        ("AT", 50_001, ["stripe"]),
    ],
)
def test_offers_are_for_a_country_and_a_total(
    settings: Settings, country: str, total_minor: int, names: list[str]
) -> None:
    settings.PAYMENT_OFFERS = read_offers("example DE AT >=20 <=500.00, stripe", NAMES)

    assert offered(country, total_minor, "EUR") == names


def test_page_offers_both_and_the_first_is_chosen(shopper: Shopper) -> None:
    shopper.add_to_cart("SKU-01")

    page = shopper.web.get("/checkout/").text
    form = read_form(page, "/checkout/")

    assert page.count('name="gateway"') == 2
    assert form["gateway"] == "stripe"
    assert form["payment_method"] == form["example-payment_method"] == "pm_card_visa"


def test_chosen_gateway_takes_the_payment(shopper: Shopper, gateway: StripeGateway) -> None:
    example = ExampleGateway()
    shopper.add_to_cart("SKU-01")

    shopper.submit(shopper.open_checkout() | {"gateway": "example"})

    order = Order.objects.get()
    assert (order.gateway, order.payment_method) == ("example", "pm_card_visa")
    both = Gateways({"stripe": gateway, "example": example})
    assert settle_order(order.number, both, clock=timezone.now) is Result.PAID
    assert len(example.payments) == 1


@pytest.mark.parametrize("name", ["cash", "stripe; DROP", "Stripe"])
def test_gateway_that_the_shop_has_not_is_refused(shopper: Shopper, name: str) -> None:
    shopper.add_to_cart("SKU-01")

    answer = shopper.submit(shopper.open_checkout() | {"gateway": name})

    assert answer.status == 422
    assert "Choose how you want to pay." in answer.words
    assert not Order.objects.exists()


def test_way_that_is_not_offered_there_is_refused_and_nothing_typed_is_lost(
    shopper: Shopper, settings: Settings
) -> None:
    settings.PAYMENT_OFFERS = read_offers("stripe DE, example", NAMES)
    shopper.add_to_cart("SKU-01")

    answer = shopper.submit(shopper.open_checkout() | {"gateway": "stripe"})  # to Ireland

    assert answer.status == 422
    assert "This way to pay is not offered for your order." in answer.words
    assert "12 Inkwell Lane" in answer.text
    assert not Order.objects.exists()


def test_shop_that_offers_nothing_there_says_so(shopper: Shopper, settings: Settings) -> None:
    settings.PAYMENT_OFFERS = read_offers("stripe <=0.10", NAMES)
    shopper.add_to_cart("SKU-01")

    page = shopper.web.get("/checkout/")

    assert "We offer no way to pay for this country and this total." in page.words


def test_form_that_names_no_gateway_is_as_one_of_the_release_before(
    shopper: Shopper, settings: Settings
) -> None:
    """It has the same digest as before, so its repetition is no changed one."""
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    del form["gateway"]

    shopper.submit(form)
    shopper.submit(form | {"gateway": ""})

    assert Order.objects.get().gateway == "stripe"
    assert not OrderEvent.objects.filter(kind=OrderEvent.Kind.RESUBMITTED_CHANGED).exists()


def test_other_gateway_under_the_same_token_is_other_content(shopper: Shopper) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()

    shopper.submit(form)
    shopper.submit(form | {"gateway": "example"})

    assert Order.objects.get().gateway == "stripe"
    assert OrderEvent.objects.filter(kind=OrderEvent.Kind.RESUBMITTED_CHANGED).count() == 1


def test_declined_by_one_and_paid_by_the_other(shopper: Shopper, gateway: StripeGateway) -> None:
    both = Gateways({"stripe": gateway, "example": ExampleGateway()})
    shopper.typed["payment_method"] = "pm_card_chargeDeclined"
    page = shopper.buy("SKU-01").location
    order = Order.objects.get()
    settle_order(order.number, both, clock=timezone.now)

    form = read_form(shopper.web.get(page).text, f"{page}pay/")
    shopper.web.post(f"{page}pay/", form | {"gateway": "example"})

    assert settle_order(order.number, both, clock=timezone.now) is Result.PAID
    paid = order.payments.get(status="paid")
    assert (paid.round, paid.gateway) == (2, "example")


def test_program_names_a_gateway(shelf: list[Product]) -> None:
    answer = new_caller().place(content=PURCHASE | {"gateway": "example"})

    assert answer.status == 201, answer.json
    assert Order.objects.get().gateway == "example"


def test_program_is_told_which_field_is_wrong(shelf: list[Product]) -> None:
    answer = new_caller().place(content=PURCHASE | {"gateway": "cash"})

    assert [answer.status, *(error["pointer"] for error in answer.json["errors"])] == [
        422,
        "/gateway",
    ]
    assert not Order.objects.exists()
