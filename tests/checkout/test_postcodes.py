"""Postcodes are tidied where their country is known to write them so, and never refused."""

import pytest
from django import forms
from django.test.html import parse_html

from checkout.forms import CheckoutForm
from checkout.orders.models import Order
from checkout.user_input.postcodes import KNOWN, tidy
from tests.support.shopper import Shopper


@pytest.mark.parametrize(
    ("country", "typed", "kept"),
    [
        ("IE", " d02af30 ", "D02 AF30"),
        ("GB", "sw1a1aa", "SW1A 1AA"),
        ("NL", "1012ab", "1012 AB"),
        ("PT", "1000001", "1000-001"),
        ("US", "10001-0001", "10001-0001"),
        ("DE", "10115", "10115"),
        ("IE", "none here", "none here"),
        ("BT", "11001", "11001"),
    ],
)
def test_postcode_is_written_as_its_country_does(country: str, typed: str, kept: str) -> None:
    assert tidy(typed, country) == kept


def test_every_example_is_already_tidy() -> None:
    assert {country: tidy(example, country) for country, (example, _) in KNOWN.items()} == {
        country: example for country, (example, _) in KNOWN.items()
    }


@pytest.mark.parametrize("country", ["", "IE", "DE", '"><script>'])
def test_countries_are_rendered_as_django_would(country: str) -> None:
    widget = CheckoutForm(initial={"country": country}).fields["country"].widget

    ours = widget.render("country", country, {"id": "id_country", "required": True})

    its = forms.Select.render(widget, "country", country, {"id": "id_country", "required": True})
    assert parse_html(ours) == parse_html(its)
    assert ours.count("<option") > 200
    assert ours.count("data-example") > 10


@pytest.mark.parametrize("typed", ["", "?", "near the old mill", "10115"])
def test_no_postcode_stands_in_the_way_of_an_order(shopper: Shopper, typed: str) -> None:
    shopper.typed["postcode"] = typed

    assert shopper.buy("SKU-01").status == 303
    assert Order.objects.get().postcode == typed
