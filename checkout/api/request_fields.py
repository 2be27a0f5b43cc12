"""Fields of request bodies, read strictly. The checkout form decides what a field may contain."""

import re
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.http import QueryDict
from rest_framework import serializers

from checkout.catalogue.money import minor_units, money, plain
from checkout.forms import CheckoutForm, PaymentMethodForm
from checkout.user_input.address_form import BILLING

# Fifteen digits are more than any total has, and few enough for the column.
TOTAL = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,4})?")

PAYMENT_METHOD = (
    "The gateway's id of it, never a card number. May be left out for a gateway that needs none."
)
GATEWAY = "The name of the payment gateway. Left out: the shop's first."


class StrictCharField(serializers.CharField):
    """A CharField that takes no number for a text."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictIntegerField(serializers.IntegerField):
    """An IntegerField that takes neither 2.0 nor "2" for 2, nor true for 1."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictSerializer(serializers.Serializer[Any]):
    """A Serializer that refuses unknown fields by name: a misspelt one would be lost in silence."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (unknown := sorted(set(data) - set(self.fields))):
            errors = {_printable(name): "There is no such field." for name in unknown}
            raise serializers.ValidationError(errors)
        return super().to_internal_value(data)


def _printable(name: object) -> str:
    """Enough of the name for its sender to find it, and nothing that JSON cannot hold."""
    return str(name)[:60].encode(errors="replace").decode()


def form_field(name: str, **options: Any) -> StrictCharField:
    """A field like the one of that name in the checkout form."""
    field = CheckoutForm.base_fields[name]
    is_required = options.pop("required", field.required)
    options = {"max_length": getattr(field, "max_length", None)} | options
    return StrictCharField(required=is_required, allow_blank=not is_required, **options)


class ExpectedTotalField(StrictCharField):
    """An amount of the shop's currency written exactly as prices are: nothing is guessed."""

    default_error_messages = {
        "form": "Write the total as prices are told, with all decimals and a point: {example}."
    }

    def to_internal_value(self, data: Any) -> int:  # type: ignore[override] # a text only in JSON
        text, currency = super().to_internal_value(data), settings.SHOP_CURRENCY
        amount_minor = 0
        if TOTAL.fullmatch(text):
            with suppress(ValueError):
                amount_minor = minor_units(Decimal(text), currency)
        if plain(money(amount_minor, currency)) != text:
            self.fail("form", example=plain(money(1250, currency)))
        return amount_minor


def validated_data(serializer: serializers.BaseSerializer[Any]) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    valid: dict[str, Any] = serializer.validated_data
    return valid


def cleaned(form_class: type[PaymentMethodForm], typed: Mapping[str, str]) -> dict[str, Any]:
    """Validate by the form that shoppers fill in."""
    form = _filled(form_class, typed)
    if not form.is_valid():
        raise serializers.ValidationError(_messages(form))
    return form.cleaned_data


def cleaned_in_part(typed: Mapping[str, str]) -> dict[str, Any]:
    """These fields of the checkout form as it reads them, whatever else it would ask for."""
    form = _filled(CheckoutForm, typed)
    if wrong := {name: told for name, told in _messages(form).items() if name in typed}:
        raise serializers.ValidationError(wrong)
    return {name: form.cleaned_data.get(name, "") for name in typed}


def _filled(form_class: type[PaymentMethodForm], typed: Mapping[str, str]) -> PaymentMethodForm:
    data = QueryDict(mutable=True)
    data.update(typed)
    # A page has a field for each gateway, and a request has one alone.
    data[f"{typed.get('gateway', '')}-payment_method"] = typed.get("payment_method", "")
    return form_class(data)


def _messages(form: forms.Form) -> dict[str, Any]:
    """What is wrong, by field. The form's `billing_city` is `city` in the object `billing`."""
    found: dict[str, Any] = {}
    for name, errors in form.errors.items():
        within = found.setdefault("billing", {}) if name.startswith(BILLING) else found
        within[name.removeprefix(BILLING)] = [str(message) for message in errors]
    return found
