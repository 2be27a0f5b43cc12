"""The bodies of requests to quote or to place a purchase."""

from typing import Any

from rest_framework import serializers

from checkout.api.request_fields import (
    PAYMENT_METHOD,
    ExpectedTotalField,
    StrictCharField,
    StrictIntegerField,
    StrictSerializer,
    cleaned,
    cleaned_in_part,
    form_field,
)
from checkout.forms import CheckoutForm
from checkout.models import MAX_QUANTITY

LINES_AT_MOST = 50

EXPECTED_TOTAL_IS_MISSING = (
    "Send the total that the customer was shown, so that they are charged that or nothing."
)


def country_field() -> StrictCharField:
    return form_field("country", min_length=2, max_length=2, help_text="ISO 3166-1 alpha-2.")


def code_field() -> StrictCharField:
    return form_field("code", help_text="A discount code, in capital letters or not.")


class WantedLine(StrictSerializer):
    """One product and how many of it. The price is the shop's."""

    sku = StrictCharField(max_length=40)
    quantity = StrictIntegerField(min_value=1, max_value=MAX_QUANTITY)


class WantedLines(StrictSerializer):
    lines = serializers.ListField(child=WantedLine(), min_length=1, max_length=LINES_AT_MOST)

    def validate_lines(self, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        skus = [line["sku"] for line in lines]
        errors = [
            {"sku": "This product stands in another line already."} if sku in skus[:n] else {}
            for n, sku in enumerate(skus)
        ]
        if any(errors):
            raise serializers.ValidationError(errors)
        return lines


class WantedQuote(WantedLines):
    """What somebody may buy, and where to. Each product stands in one line."""

    country = country_field()
    region = StrictCharField(
        required=False,
        allow_blank=True,
        max_length=120,
        help_text=(
            "The state or province. Without it, taxes are those that hold in the whole country."
        ),
    )
    postcode = form_field("postcode", help_text="No price depends on it so far.")
    code = code_field()
    email = form_field(
        "email",
        required=False,
        help_text="Tells whether this customer has had the code as often as one customer may.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        names = CheckoutForm.base_fields.keys() & attrs.keys()
        return attrs | cleaned_in_part({name: attrs[name] for name in names if attrs[name]})


class WantedOrder(WantedLines):
    """A purchase. Each product stands in one line."""

    email = form_field("email")
    full_name = form_field("full_name")
    address = form_field("address")
    city = form_field("city")
    postcode = form_field("postcode", help_text="Some countries have none.")
    country = country_field()
    delivery_method = form_field(
        "delivery_method",
        help_text="The `id` of a method that a quote offered. Left out: the cheapest one.",
    )
    code = code_field()
    payment_method = form_field(
        "payment_method", help_text=f"{PAYMENT_METHOD} Not used when nothing is to be paid."
    )
    expected_total = ExpectedTotalField(
        required=False,
        trim_whitespace=False,
        help_text=(
            "The total that the customer was shown, with delivery, discount and tax, as a quote "
            "tells it. If the purchase costs anything else, nothing is ordered: 409, "
            "total-changed. Clients that were created with --accept-any-total may leave it out."
        ),
    )
    expected_currency = StrictCharField(
        required=False,
        min_length=3,
        max_length=3,
        help_text="The currency of `expected_total` (ISO 4217). The shop's own, unless given.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "expected_total" not in attrs and not self.context["accepts_any_total"]():
            raise serializers.ValidationError({"expected_total": EXPECTED_TOTAL_IS_MISSING})
        typed = {name: attrs[name] for name in CheckoutForm.base_fields if name in attrs}
        return attrs | cleaned(CheckoutForm, typed)
