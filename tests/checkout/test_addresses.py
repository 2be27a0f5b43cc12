"""The checkout takes an address of any country, and a second one for the bill."""

import re
from typing import Any

import pytest
from django.forms import BoundField
from django.http import QueryDict
from django.utils.translation import override

from checkout.forms import CheckoutForm
from checkout.orders.models import Order
from tests.support.shopper import TYPED, Shopper, read_form

IN_GERMANY = TYPED | {"city": "Berlin", "postcode": "10115", "country": "DE"}
IN_AMERICA = IN_GERMANY | {"country": "US", "region": "CA", "city": "Cupertino"}
BILL = {
    "billing_full_name": "Grace Inkwell",
    "billing_address": "1 Paper Street",
    "billing_city": "Bern",
    "billing_postcode": "CH-3003",
    "billing_country": "CH",
}


def checked(typed: dict[str, str]) -> CheckoutForm:
    data = QueryDict(mutable=True)
    data.update(typed)
    form = CheckoutForm(data)
    form.full_clean()
    return form


def cleaned(typed: dict[str, str]) -> dict[str, Any]:
    form = checked(typed)
    assert form.errors == {}
    return form.cleaned_data


def wrong(typed: dict[str, str]) -> list[str]:
    return list(checked(typed).errors)


def rows(form: CheckoutForm) -> list[list[str]]:
    return [[field.name for field in row] for row in form.address_rows]


def test_fields_of_before_are_enough_for_germany() -> None:
    typed = cleaned(IN_GERMANY)

    assert {name: typed[name] for name in IN_GERMANY} == IN_GERMANY
    assert typed["billing"] is None
    assert {typed[name] for name in ("address2", "region", "company", "phone", "vat_id")} == {""}
    assert {typed[name] for name in ("delivery_method", "code")} == {""}
    assert not any(name.startswith("billing_") for name in typed)


@pytest.mark.parametrize(
    ("country", "left_out", "missing"),
    [
        ("DE", {"postcode"}, ["postcode"]),
        ("DE", {"city"}, ["city"]),
        ("IE", {"postcode"}, []),
        ("US", {"region"}, ["region"]),
        ("US", {"region", "postcode", "city"}, ["postcode", "city", "region"]),
        ("SG", {"city"}, []),
        ("SG", {"postcode"}, ["postcode"]),
        ("HK", {"city", "postcode", "region"}, ["region"]),
        ("", {"country"}, ["country"]),
    ],
)
def test_country_says_what_is_required(
    country: str, left_out: set[str], missing: list[str]
) -> None:
    typed = IN_AMERICA | {"country": country}
    if country not in {"US", ""}:
        typed.pop("region")

    assert wrong({name: text for name, text in typed.items() if name not in left_out}) == missing


def test_what_is_missing_is_asked_for_in_a_sentence() -> None:
    typed = IN_AMERICA | {"region": "", "postcode": "", "city": ""}

    assert {name: list(errors) for name, errors in checked(typed).errors.items()} == {
        "city": ["Which town or city?"],
        "region": ["Which state, province or region?"],
        "postcode": ["Which postcode?"],
    }


@pytest.mark.parametrize("typed", ["CA", "ca", "California", " california "])
def test_region_may_be_typed_by_name(typed: str) -> None:
    assert cleaned(IN_AMERICA | {"region": typed})["region"] == "CA"


def test_region_of_another_country_is_asked_for_again() -> None:
    assert wrong(IN_AMERICA | {"region": "Ontario"}) == ["region"]


def test_region_that_a_country_can_do_without_is_kept_as_typed() -> None:
    assert cleaned(TYPED | {"region": "cork"})["region"] == "Co. Cork"
    assert cleaned(TYPED | {"region": "Munster"})["region"] == "Munster"
    assert cleaned(IN_GERMANY | {"region": "Bayern"})["region"] == "Bayern"


@pytest.mark.parametrize(("country", "region"), [("DE", ""), ("AU", None), ("US", "WA")])
def test_region_from_the_list_of_another_country_counts_for_nothing(
    country: str, region: str | None
) -> None:
    """ "WA" is Washington and Western Australia."""
    form = checked(IN_AMERICA | {"country": country, "region": "WA", "region_country": "US"})

    assert form.cleaned_data.get("region") == region
    assert ("region" in form.errors) == (region is None)
    assert form["region"].value() == (region or "")


@pytest.mark.parametrize(
    "typed",
    [
        "+49 151 23456789",
        "(030) 901-820",
        "030/901.820",
        "+1 (408) 555-0100",
        "+３５３ 21 123",
        "112 00",
    ],
)
def test_phone_is_taken_as_people_write_it(typed: str) -> None:
    assert cleaned(IN_GERMANY | {"phone": typed})["phone"]


@pytest.mark.parametrize("typed", ["1234", "+49 12345 12345 12345 1", "ask Ada", "030 x 12345"])
def test_what_is_no_phone_number_is_told(typed: str) -> None:
    form = checked(IN_GERMANY | {"phone": typed})

    assert "5 to 15 digits" in str(form.errors["phone"])
    assert form["phone"].value() == typed


def test_vat_id_is_checked_for_the_country_of_the_bill() -> None:
    number = {"vat_id": "136 695 976"}

    assert cleaned(IN_GERMANY | number)["vat_id"] == "DE136695976"
    assert wrong(TYPED | number) == ["vat_id"]
    assert cleaned(TYPED | number | BILL | {"billing_country": "DE"})["vat_id"] == "DE136695976"
    assert cleaned(IN_AMERICA | {"vat_id": "12-3456789"})["vat_id"] == "12-3456789"


def test_bill_may_go_elsewhere() -> None:
    assert cleaned(IN_GERMANY | BILL)["billing"] == {
        "full_name": "Grace Inkwell",
        "company": "",
        "address": "1 Paper Street",
        "address2": "",
        "city": "Bern",
        "region": "",
        "postcode": "3003",
        "country": "CH",
    }


def test_country_alone_is_no_billing_address() -> None:
    assert cleaned(IN_GERMANY | {"billing_country": "US"})["billing"] is None
    assert cleaned(IN_GERMANY | {"billing_country": "", "billing_city": " "})["billing"] is None


def test_billing_address_is_checked_by_the_rules_of_its_country() -> None:
    assert wrong(IN_GERMANY | {"billing_city": "Bern"}) == [
        "billing_full_name",
        "billing_country",
        "billing_address",
    ]
    assert wrong(IN_GERMANY | BILL | {"billing_country": "US"}) == ["billing_region"]
    assert wrong(IN_GERMANY | BILL | {"billing_postcode": ""}) == ["billing_postcode"]
    in_america = {"billing_country": "US", "billing_region": "new york"}
    assert cleaned(IN_GERMANY | BILL | in_america)["billing"]["region"] == "NY"


@pytest.mark.parametrize("typed", ["CH", "ch", "Switzerland", " switzerland", "Schweiz"])
def test_country_of_the_bill_may_be_typed_by_name(typed: str) -> None:
    with override("de"):
        form = checked(IN_GERMANY | BILL | {"billing_country": typed})

    assert form.errors == {}
    assert form.cleaned_data["billing"]["country"] == "CH"


def test_unknown_country_of_the_bill_is_told_and_shown_again() -> None:
    form = checked(IN_GERMANY | BILL | {"billing_country": "Atlantis"})

    assert form.errors == {
        "billing_country": ["Which country does the bill go to? We know none of this name."]
    }
    assert 'value="Atlantis"' in str(form["billing_country"])
    assert 'value="Switzerland"' in str(checked(IN_GERMANY | BILL)["billing_country"])


def test_bill_may_go_to_a_company_alone() -> None:
    bill = BILL | {"billing_full_name": "", "billing_company": "Quill & Co"}

    assert cleaned(IN_GERMANY | bill)["billing"]["company"] == "Quill & Co"


def test_card_number_in_a_billing_field_is_taken_out() -> None:
    form = checked(IN_GERMANY | BILL | {"billing_city": "Bern 4242 4242 4242 4242"})

    assert list(form.errors) == ["billing_city"]
    assert "4242" not in str(form["billing_city"])


def test_rows_follow_the_country() -> None:
    assert rows(CheckoutForm()) == [["postcode", "city"]]
    assert rows(CheckoutForm(initial={"country": "DE"})) == [["postcode", "city"]]
    assert rows(checked({"country": "US"})) == [["city", "region", "postcode"]]
    assert rows(checked({"country": "SG"})) == [["postcode"]]
    assert rows(checked({"country": "SG", "city": "Singapore"})) == [["postcode"], ["city"]]
    assert rows(checked({"country": "HK"})) == [["city"], ["region"], ["postcode"]]
    assert rows(checked({"country": "DE", "region": "Bayern"})) == [
        ["postcode", "city"],
        ["region"],
    ]


def test_region_is_chosen_from_the_list_of_the_country() -> None:
    def region(**typed: str) -> BoundField:
        in_rows = [field for row in checked(typed).address_rows for field in row]
        return next(field for field in in_rows if field.name == "region")

    in_america = region(country="US", region="california")
    assert in_america.label == "State"
    assert re.findall(r'value="(\w*)" selected', str(in_america)) == ["CA"]
    assert 'autocomplete="address-level1"' in str(in_america)
    assert "Ontario" not in str(region(country="US", region="Ontario"))
    in_ireland = region(country="IE", region="<Munster>")
    assert '<option value="&lt;Munster&gt;" selected>' in str(in_ireland)
    assert '<input type="text"' in str(region(country="DE", region="Bayern"))


def test_page_shows_again_what_was_typed(shopper: Shopper) -> None:
    typed = IN_AMERICA | BILL | {"region": "", "company": "Quill", "phone": "030 1", "code": "TEN"}
    shopper.add_to_cart("SKU-01")
    answer = shopper.submit(shopper.open_checkout() | typed)

    assert answer.status == 422
    assert "Which state, province or region?" in answer.words
    assert '<select name="region"' in answer.text
    again = read_form(answer.text, "/checkout/")
    typed["billing_country"] = "Switzerland"  # by name, where no script makes a list of it
    shown = typed.keys() - {"payment_method", "code"}
    assert {name: again[name] for name in shown} == {name: typed[name] for name in shown}
    assert answer.text.count('<details class="more" open>') == 2


def test_order_has_both_addresses(shopper: Shopper) -> None:
    typed = IN_GERMANY | BILL | {"address2": "Floor 3", "company": "Quill", "phone": "030 901820"}
    shopper.typed |= typed

    assert shopper.buy("SKU-01").status == 303

    order = Order.objects.get()
    assert (order.address2, order.company, order.phone) == ("Floor 3", "Quill", "030 901820")
    assert order.billing == cleaned(typed)["billing"]


def test_words_beside_a_field_are_those_of_the_country(shopper: Shopper) -> None:
    shopper.add_to_cart("SKU-01")

    def labels(country: str) -> str:
        answer = shopper.submit(shopper.open_checkout() | {"country": country, "email": "no"})
        return " ".join(re.findall(r"<label[^>]*>.*?</label>", answer.text))

    assert "Postcode</label>" in labels("DE")
    assert 'Postcode <span class="optional">(if you have one)</span>' in labels("IE")
    assert 'County <span class="optional">(optional)</span>' in labels("IE")
    assert "State</label>" in labels("US")
    assert 'Telephone <span class="optional">(optional)</span>' in labels("US")


def test_browsers_fill_in_every_field_by_its_name(shopper: Shopper) -> None:
    shopper.add_to_cart("SKU-01")
    page = shopper.submit(shopper.open_checkout() | {"country": "US", "billing_country": "CA"}).text

    found: dict[str, list[str]] = {}
    for tag in re.findall(r"<(?:input|select)[^>]*>", page):
        name = re.findall(r' name="(\w+)"', tag)
        found |= {each: re.findall(r'autocomplete="([^"]*)"', tag) for each in name}
    tokens = {
        "full_name": "name",
        "company": "organization",
        "address": "address-line1",
        "address2": "address-line2",
        "city": "address-level2",
        "region": "address-level1",
        "postcode": "postal-code",
        "country": "country",
    }
    assert {name: found[name] for name in tokens} == {n: [t] for n, t in tokens.items()}
    assert {name: found[f"billing_{name}"] for name in tokens} == {
        name: [f"billing {token}"] for name, token in tokens.items()
    }
    assert found["phone"] == ["tel"]
