"""The shape of requests and responses. The checkout form decides what a field may contain."""

import re
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.http import QueryDict
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from checkout.catalogue.models import Product
from checkout.catalogue.money import minor_units, money, plain
from checkout.forms import CheckoutForm, PayAgainForm, PaymentMethodForm
from checkout.models import MAX_QUANTITY
from checkout.orders.models import Order, OrderLine
from checkout.orders.money.facts import MoneyFacts, facts_about, facts_of
from checkout.orders.states import OrderStatus

LINES_AT_MOST = 50

EXPECTED_TOTAL_IS_MISSING = (
    "Send the total that the customer was shown, so that they are charged that or nothing."
)

TRUE_FALSE_UNKNOWN = {"oneOf": [{"type": "boolean"}, {"type": "string", "const": "unknown"}]}

# Fifteen digits are more than any total has, and few enough for the column.
TOTAL = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,4})?")

AMOUNT = (
    "In the main unit of `currency`, as text with a point and with all decimals that the currency "
    "has: 12.50 of euros, 1250 of yen, 1.250 of Kuwaiti dinars."
)

PAYMENT_METHOD = "The gateway's id of it, never a card number."


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
    options = {"max_length": getattr(field, "max_length", None)} | options
    return StrictCharField(required=field.required, allow_blank=not field.required, **options)


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


class WantedLine(StrictSerializer):
    """One product and how many of it. The price is the shop's."""

    sku = StrictCharField(max_length=40)
    quantity = StrictIntegerField(min_value=1, max_value=MAX_QUANTITY)


class WantedOrder(StrictSerializer):
    """A purchase. Each product stands in one line."""

    lines = serializers.ListField(child=WantedLine(), min_length=1, max_length=LINES_AT_MOST)
    email = form_field("email")
    full_name = form_field("full_name")
    address = form_field("address")
    city = form_field("city")
    postcode = form_field("postcode", help_text="Some countries have none.")
    country = form_field("country", min_length=2, max_length=2, help_text="ISO 3166-1 alpha-2.")
    payment_method = form_field(
        "payment_method", help_text=f"{PAYMENT_METHOD} Not used when nothing is to be paid."
    )
    expected_total = ExpectedTotalField(
        required=False,
        trim_whitespace=False,
        help_text=(
            "The total that the customer was shown, in the currency's main unit, as prices are "
            "told. If the goods cost anything else, nothing is ordered: 409, total-changed. "
            "Clients that were created with --accept-any-total may leave it out."
        ),
    )
    expected_currency = StrictCharField(
        required=False,
        min_length=3,
        max_length=3,
        help_text="The currency of `expected_total` (ISO 4217). The shop's own, unless given.",
    )

    def validate_lines(self, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        skus = [line["sku"] for line in lines]
        errors = [
            {"sku": "This product stands in another line already."} if sku in skus[:n] else {}
            for n, sku in enumerate(skus)
        ]
        if any(errors):
            raise serializers.ValidationError(errors)
        return lines

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "expected_total" not in attrs and not self.context["accepts_any_total"]():
            raise serializers.ValidationError({"expected_total": EXPECTED_TOTAL_IS_MISSING})
        typed = {name: attrs[name] for name in CheckoutForm.base_fields if name in attrs}
        return attrs | cleaned(CheckoutForm, typed)


class WantedPayment(StrictSerializer):
    """Another method to pay with."""

    payment_method = form_field("payment_method", help_text=PAYMENT_METHOD)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return {"payment_method": cleaned(PayAgainForm, attrs)["payment_method"]}


class EmptySerializer(StrictSerializer):
    """An empty object, or no body at all."""


def cleaned(form_class: type[PaymentMethodForm], typed: Mapping[str, str]) -> dict[str, Any]:
    """Validate by the form that shoppers fill in."""
    data = QueryDict(mutable=True)
    data.update(typed)
    form = form_class(data)
    if not form.is_valid():
        raise serializers.ValidationError(_messages(form))
    return form.cleaned_data


def _messages(form: forms.Form) -> dict[str, list[str]]:
    return {name: [str(message) for message in errors] for name, errors in form.errors.items()}


@extend_schema_field(str)
class MoneyField(serializers.Field[Any, Any, str, Any]):
    """An amount in its currency's main unit."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, **options)

    def to_representation(self, value: Any) -> str:
        return plain(value)


class ProductSerializer(serializers.ModelSerializer[Product]):
    price = MoneyField(help_text=AMOUNT)
    currency = serializers.CharField(source="price.currency", read_only=True)
    is_available = serializers.SerializerMethodField()

    class Meta:
        model = Product
        fields = ["sku", "name", "description", "price", "currency", "is_available"]

    def get_is_available(self, product: Product) -> bool:
        return product.stock > 0


class OrderLineSerializer(serializers.ModelSerializer[OrderLine]):
    total = MoneyField()

    class Meta:
        model = OrderLine
        fields = ["sku", "name", "quantity", "total"]


def charged(order: Order) -> bool | str:
    return is_charged(facts_about(order))


def is_charged(facts: MoneyFacts) -> bool | str:
    """Whether anything was charged for the order, also where it was sent back since."""
    if facts.is_charged:
        return True
    return "unknown" if facts.is_charge_unknown else False


class OrderListSerializer(serializers.ListSerializer[Order]):
    def to_representation(self, data: Any) -> list[Any]:
        """Read what was charged for all orders of a page at once."""
        orders = list(data)
        assert isinstance(self.child, OrderSerializer)  # noqa: S101 - for the type checker
        self.child.known_facts = facts_of(orders)
        return super().to_representation(orders)


class OrderSerializer(serializers.ModelSerializer[Order]):
    status = serializers.ChoiceField(OrderStatus.choices)
    charged = serializers.SerializerMethodField()
    is_final = serializers.SerializerMethodField(
        help_text="Nothing more happens unless its customer or the shop does something."
    )
    can_pay = serializers.SerializerMethodField(
        help_text="Whether it can be paid with another method, or cancelled."
    )
    action_url = serializers.SerializerMethodField(
        help_text="Where the customer approves the payment at their bank, while it asks for that."
    )
    total = MoneyField(help_text=AMOUNT)
    refunded = MoneyField(help_text=f"How much of it was sent back. {AMOUNT}")
    lines = OrderLineSerializer(many=True)

    class Meta:
        model = Order
        list_serializer_class = OrderListSerializer
        fields = [
            *("number", "reference", "status", "charged", "is_final", "can_pay", "action_url"),
            *("total", "refunded", "currency", "lines", "placed_at"),
        ]

    known_facts: Mapping[int, MoneyFacts] = {}

    def to_representation(self, instance: Order) -> dict[str, Any]:
        if instance.pk not in self.known_facts:
            self.known_facts = facts_of([instance])
        return super().to_representation(instance)

    @extend_schema_field(TRUE_FALSE_UNKNOWN)
    def get_charged(self, order: Order) -> bool | str:
        return is_charged(self.known_facts[order.pk])

    def get_is_final(self, order: Order) -> bool:
        return self.known_facts[order.pk].is_final

    def get_can_pay(self, order: Order) -> bool:
        return self.known_facts[order.pk].can_pay

    def get_action_url(self, order: Order) -> str | None:
        return order.action_url or None


class InvalidField(serializers.Serializer[Any]):
    pointer = serializers.CharField(help_text="JSON pointer (RFC 6901).")
    detail = serializers.CharField()


class ShortProduct(serializers.Serializer[Any]):
    sku = serializers.CharField()
    left = serializers.IntegerField()


class PayableSerializer(serializers.Serializer[Any]):
    """Amounts that can be paid: decimal numbers in `currency`, each a multiple of `step`."""

    currency = serializers.CharField()
    smallest = serializers.CharField()
    largest = serializers.CharField()
    step = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """A problem document (RFC 9457)."""

    type = serializers.CharField(help_text="Stable; at this address stands what it means.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = InvalidField(many=True, required=False)  # type: ignore[assignment] # DRF takes fields away
    products = ShortProduct(many=True, required=False)
    payable = PayableSerializer(required=False, allow_null=True)
    total = serializers.CharField(required=False, help_text="In total-changed: the total now.")
    currency = serializers.CharField(required=False)


@extend_schema_field(TRUE_FALSE_UNKNOWN)
class ChargedField(serializers.Field[Any, Any, Any, Any]):
    pass


class MoneyProblemSerializer(ProblemSerializer):
    """A problem of a request about money. `charged` says whether that purchase was charged."""

    charged = ChargedField()
