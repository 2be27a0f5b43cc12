"""The address that a parcel goes to, and the one that its bill goes to if that is another."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms import BoundField
from django.utils.translation import gettext_lazy as _

from checkout.user_input import vat_ids
from checkout.user_input.address_fields import (
    REGION_LABELS,
    CountryField,
    CountryInput,
    CountryNameField,
    CountrySelect,
    PhoneField,
    RegionSelect,
)
from checkout.user_input.addresses import region_code, rules_for, tidy
from checkout.user_input.countries import countries, country_code
from checkout.user_input.form_fields import WithoutCardNumbers
from checkout.user_input.text import LineField

BILLING = "billing_"
PARTS = (
    *("full_name", "company", "address", "address2"),
    *("city", "region", "postcode", "country"),
)
ROWS_WITHOUT_COUNTRY = (("postcode", "city"),)


def required_parts(country: str) -> set[str]:
    return {"full_name", "country", *rules_for(country).required}


def text_input(autocomplete: str, **attrs: str) -> forms.TextInput:
    return forms.TextInput(attrs={"autocomplete": autocomplete, **attrs})


class DeliveryAddressForm(WithoutCardNumbers, forms.Form):
    full_name = LineField(
        label=_("Full name"),
        max_length=200,
        widget=text_input("name", autocapitalize="words"),
        error_messages={"required": _("Who should we send it to?")},
    )
    company = LineField(
        label=_("Company"), max_length=200, required=False, widget=text_input("organization")
    )
    vat_id = LineField(
        label=_("VAT ID"),
        max_length=20,
        required=False,
        widget=forms.TextInput(attrs={"autocapitalize": "characters", "spellcheck": "false"}),
        error_messages={
            "invalid": _(
                "Please look at the VAT ID: a character of it is missing or wrong. "
                "You can also order without one."
            ),
        },
    )
    country = CountryField(
        label=_("Country"),
        choices=countries,
        widget=CountrySelect(attrs={"autocomplete": "country"}),
        error_messages={"required": _("Which country?"), "invalid_choice": _("Choose a country.")},
    )
    address = LineField(
        label=_("Address"),
        max_length=300,
        widget=text_input("address-line1"),
        error_messages={"required": _("Which street and house number?")},
    )
    address2 = LineField(
        label=_("Flat, floor or building"),
        max_length=300,
        required=False,
        widget=text_input("address-line2"),
    )
    city = LineField(
        label=_("Town or city"),
        max_length=120,
        widget=text_input("address-level2"),
        error_messages={"required": _("Which town or city?")},
    )
    region = LineField(
        label=_("State or province"),
        max_length=100,
        required=False,
        widget=text_input("address-level1"),
        error_messages={"required": _("Which state, province or region?")},
    )
    postcode = LineField(
        label=_("Postcode"),
        max_length=20,
        required=False,
        widget=text_input("postal-code", autocapitalize="characters"),
        error_messages={"required": _("Which postcode?")},
    )
    phone = PhoneField(
        label=_("Telephone"),
        max_length=40,
        required=False,
        error_messages={"required": _("Which telephone number? The carrier needs one.")},
    )


class BillingAddressForm(WithoutCardNumbers, forms.Form):
    """None of these fields is required by the page: most people want no second address."""

    billing_full_name = LineField(
        label=_("Name on the bill"),
        max_length=200,
        required=False,
        widget=text_input("billing name", autocapitalize="words"),
        error_messages={"required": _("Whose name should be on the bill?")},
    )
    billing_company = LineField(
        label=_("Company on the bill"),
        max_length=200,
        required=False,
        widget=text_input("billing organization"),
    )
    billing_country = CountryNameField(
        label=_("Country of the bill"),
        max_length=100,
        required=False,
        widget=CountryInput(attrs={"autocomplete": "billing country", "data-countries": "country"}),
        error_messages={
            "required": _("Which country does the bill go to?"),
            "invalid_choice": _("Which country does the bill go to? We know none of this name."),
        },
    )
    billing_address = LineField(
        label=_("Street and house number"),
        max_length=300,
        required=False,
        widget=text_input("billing address-line1"),
        error_messages={"required": _("Which street and house number does the bill go to?")},
    )
    billing_address2 = LineField(
        label=_("Flat, floor or building"),
        max_length=300,
        required=False,
        widget=text_input("billing address-line2"),
    )
    billing_city = LineField(
        label=_("City or town"),
        max_length=120,
        required=False,
        widget=text_input("billing address-level2"),
        error_messages={"required": _("Which town or city does the bill go to?")},
    )
    billing_region = LineField(
        label=_("State or province"),
        max_length=100,
        required=False,
        widget=text_input("billing address-level1"),
        error_messages={"required": _("Which state, province or region does the bill go to?")},
    )
    billing_postcode = LineField(
        label=_("Postal code"),
        max_length=20,
        required=False,
        widget=text_input("billing postal-code", autocapitalize="characters"),
        error_messages={"required": _("Which postcode does the bill go to?")},
    )


class PostalAddressForm(BillingAddressForm, DeliveryAddressForm):
    """Both addresses, by the rules of their countries. What a country requires is looked at here:
    a browser that insisted on it would do so for the country which the page was made for."""

    def __init__(self, *arguments: Any, **words: Any) -> None:
        super().__init__(*arguments, **words)
        self.fields["city"].required = False
        if self.is_bound:
            for prefix in ("", BILLING):
                self._forget_region_of_another_country(prefix)

    def clean(self) -> dict[str, Any]:
        typed: dict[str, Any] = super().clean() or self.cleaned_data
        for prefix in ("", BILLING):
            self._tidy_up(prefix, typed)
        bills_elsewhere = self._bills_elsewhere(typed)
        for prefix in ("", BILLING) if bills_elsewhere else ("",):
            self._require_parts(prefix, typed)
        billing = {part: typed.pop(BILLING + part, "") for part in PARTS}
        typed["billing"] = billing if bills_elsewhere else None
        self._tidy_up_vat_id(typed, billing["country"] if bills_elsewhere else "")
        return typed

    def _bills_elsewhere(self, typed: dict[str, Any]) -> bool:
        """Whether any part of a billing address was typed. The country may have been the page's."""
        names = [BILLING + part for part in PARTS if part != "country"]
        return any(typed.get(name) or name in self.errors for name in names)

    def _tidy_up(self, prefix: str, typed: dict[str, Any]) -> None:
        country = typed.get(f"{prefix}country", "")
        if postcode := typed.get(f"{prefix}postcode"):
            typed[f"{prefix}postcode"] = tidy(postcode, country)
        if region := typed.get(f"{prefix}region"):
            typed[f"{prefix}region"] = region_code(country, region) or region

    def _forget_region_of_another_country(self, prefix: str) -> None:
        """A region that was chosen from a list is of the list's country. "WA" is a state in the
        United States and in Australia."""
        data: Any = self.data  # this form's own copy
        listed_for = data.get(self.add_prefix(f"{prefix}region_country"))
        chosen = str(data.get(self.add_prefix(f"{prefix}country")) or "")
        if listed_for and listed_for != country_code(chosen):
            data[self.add_prefix(f"{prefix}region")] = ""

    def _require_parts(self, prefix: str, typed: dict[str, Any]) -> None:
        country = typed.get(f"{prefix}country", "")
        names = [f"{prefix}{part}" for part in required_parts(country)]
        if prefix and typed.get(f"{prefix}company"):
            names.remove(f"{prefix}full_name")  # a bill may go to a company alone
        missing = {name for name in names if not typed.get(name)}
        region = f"{prefix}region"
        if region in names and not region_code(country, typed.get(region, "")):
            missing.add(region)  # of another country, or of none
        for name, field in self.fields.items():
            if name in missing and name not in self.errors:
                message = field.error_messages["required"]
                self.add_error(name, ValidationError(message, code="required"))

    def _tidy_up_vat_id(self, typed: dict[str, Any], billing_country: str) -> None:
        if number := typed.get("vat_id"):
            compact = vat_ids.compact(number, billing_country or typed.get("country", ""))
            if compact is None:
                message = self.fields["vat_id"].error_messages["invalid"]
                self.add_error("vat_id", ValidationError(message, code="invalid"))
            else:
                typed["vat_id"] = compact

    # The page.

    @property
    def needed(self) -> set[str]:
        """The fields beside which the page does not say that they may stay empty: those that their
        countries require, if there is a billing address at all."""
        found = set()
        for prefix in ("", BILLING):
            country = self._chosen_country(prefix)
            unless_known = set() if country else {"postcode"}
            found |= {f"{prefix}{part}" for part in required_parts(country) | unless_known}
        return found

    @property
    def address_rows(self) -> list[list[BoundField]]:
        return list(self._rows(""))

    @property
    def billing_rows(self) -> list[list[BoundField]]:
        return list(self._rows(BILLING))

    @property
    def usual_postcode(self) -> dict[str, str]:
        """What the page's hint compares a postcode with."""
        country = self._chosen_country("")
        found = rules_for(country).postcodes
        if found is None:
            return {}
        return {"country": country, "pattern": found.pattern, "example": found.example}

    @property
    def region_country(self) -> str:
        """The country whose regions the page lists, which comes back with the form."""
        return self._listed_country("")

    @property
    def billing_region_country(self) -> str:
        return self._listed_country(BILLING)

    @property
    def has_company(self) -> bool:
        return any(self._is_filled(name) for name in ("company", "vat_id"))

    @property
    def has_billing(self) -> bool:
        return any(self._is_filled(BILLING + part) for part in PARTS if part != "country")

    def _chosen_country(self, prefix: str) -> str:
        return country_code(str(self[f"{prefix}country"].value() or ""))

    def _listed_country(self, prefix: str) -> str:
        country = self._chosen_country(prefix)
        return country if rules_for(country).region_codes else ""

    def _is_filled(self, name: str) -> bool:
        return bool(self[name].value() or self[name].errors)

    def _rows(self, prefix: str) -> Iterator[list[BoundField]]:
        """Postcode, city and region in the order in which the country writes them. A part that it
        does without is shown only if something is in it; a postcode always, since the library
        does not know all that there are."""
        country = self._chosen_country(prefix)
        rows = rules_for(country).rows if country else ROWS_WITHOUT_COUNTRY
        self._offer_regions(prefix, country)
        for part in () if prefix else rules_for(country).required:
            self.fields[part].widget.attrs["aria-required"] = "true"
        for row in rows:
            yield [self[f"{prefix}{part}"] for part in row]
        shown = {part for row in rows for part in row}
        for part in ("city", "region", "postcode"):
            name = f"{prefix}{part}"
            if part not in shown and (part == "postcode" or self._is_filled(name)):
                yield [self[name]]

    def _offer_regions(self, prefix: str, country: str) -> None:
        name, rules = f"{prefix}region", rules_for(country)
        if not rules.region_codes:
            return
        typed, attrs = str(self[name].value() or ""), self.fields[name].widget.attrs
        self.fields[name].widget = RegionSelect(country, typed, attrs)
        self[name].label = REGION_LABELS[rules.region_kind]
