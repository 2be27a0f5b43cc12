"""The bodies of requests to quote or to place a purchase."""

from typing import Any

from rest_framework import serializers

from checkout.api.request_fields import (
    GATEWAY,
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
from checkout.user_input.address_form import BILLING

LINES_AT_MOST = 50

EXPECTED_TOTAL_IS_MISSING = (
    "Send the total that the customer was shown, so that they are charged that or nothing."
)


BILLING_IS_EMPTY = "Send the whole address that the bill goes to, or leave `billing` out."

COUNTRY: dict[str, Any] = {"min_length": 2, "max_length": 2, "help_text": "ISO 3166-1 alpha-2."}
CODE = "A discount code, in capital letters or not."


class WantedLine(StrictSerializer):
    """One product and how many of it. The price is the shop's."""

    sku = StrictCharField(max_length=40)
    quantity = StrictIntegerField(min_value=1, max_value=MAX_QUANTITY)


class BillingAddress(StrictSerializer):
    """Where the bill goes, if that is another address. To a company it may go without a name."""

    full_name = form_field("billing_full_name")
    company = form_field("billing_company")
    address = form_field("billing_address")
    address2 = form_field("billing_address2")
    city = form_field("billing_city")
    region = form_field("billing_region")
    postcode = form_field("billing_postcode")
    country = form_field("billing_country", required=True, **COUNTRY)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not any(part for name, part in attrs.items() if name != "country"):
            raise serializers.ValidationError(BILLING_IS_EMPTY)
        return attrs


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

    country = form_field("country", **COUNTRY)
    region = form_field(
        "region",
        help_text="Code or name. Without it, taxes are those that hold in the whole country.",
    )
    postcode = form_field("postcode", help_text="No price depends on it so far.")
    code = form_field("code", help_text=CODE)
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
    company = form_field("company")
    vat_id = form_field("vat_id", help_text="Its form is checked, and nobody is asked about it.")
    address = form_field("address")
    address2 = form_field("address2")
    city = form_field("city", required=False, help_text="Some countries have none.")
    region = form_field(
        "region", help_text="Code or name of a state or province, where the country has them."
    )
    postcode = form_field("postcode", help_text="Some countries have none.")
    country = form_field("country", **COUNTRY)
    phone = form_field("phone", help_text="Required where the method of delivery needs one.")
    billing = BillingAddress(required=False)
    delivery_method = form_field(
        "delivery_method",
        help_text="The `id` of a method that a quote offered. Left out: the cheapest one.",
    )
    code = form_field("code", help_text=CODE)
    gateway = form_field("gateway", help_text=GATEWAY)
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
        billing = attrs.get("billing", {})
        typed |= {BILLING + name: part for name, part in billing.items()}
        return attrs | cleaned(CheckoutForm, typed)
