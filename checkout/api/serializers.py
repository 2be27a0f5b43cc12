"""The shape of responses, and of the bodies that are about an order."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from checkout.api.request_fields import (
    GATEWAY,
    PAYMENT_METHOD,
    StrictSerializer,
    cleaned,
    form_field,
)
from checkout.catalogue.models import Product
from checkout.catalogue.money import plain
from checkout.forms import PayAgainForm

TRUE_FALSE_UNKNOWN = {"oneOf": [{"type": "boolean"}, {"type": "string", "const": "unknown"}]}

AMOUNT = (
    "In the main unit of `currency`, as text with a point and with all decimals that the currency "
    "has: 12.50 of euros, 1250 of yen, 1.250 of Kuwaiti dinars."
)


class WantedPayment(StrictSerializer):
    """Another method to pay with."""

    gateway = form_field("gateway", help_text=GATEWAY)
    payment_method = form_field("payment_method", help_text=PAYMENT_METHOD)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        chosen = cleaned(PayAgainForm, attrs)
        return {name: chosen[name] for name in ("gateway", "payment_method")}


class EmptySerializer(StrictSerializer):
    """An empty object, or no body at all."""


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
        fields = [
            *("sku", "name", "description", "price", "currency", "is_available"),
            *("weight_grams", "is_delivered", "tax_class"),
        ]
        read_only_fields = ["weight_grams", "is_delivered", "tax_class"]

    def get_is_available(self, product: Product) -> bool:
        return product.stock > 0


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


class LeftSerializer(serializers.Serializer[Any]):
    """A line of an order and how many pieces of it are left to send."""

    id = serializers.IntegerField()
    to_send = serializers.IntegerField()


class ProblemSerializer(serializers.Serializer[Any]):
    """A problem document (RFC 9457)."""

    type = serializers.CharField(help_text="Stable; at this address stands what it means.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = InvalidField(many=True, required=False)  # type: ignore[assignment] # DRF takes fields away
    products = ShortProduct(many=True, required=False)
    lines = LeftSerializer(
        many=True, required=False, help_text="In too-many-pieces: what is left of each line."
    )
    payable = PayableSerializer(required=False, allow_null=True)
    total = serializers.CharField(required=False, help_text="In total-changed: the total now.")
    currency = serializers.CharField(required=False)
    goods = serializers.CharField(
        required=False, help_text="In total-changed, as are the parts below: the lines now."
    )
    discount = serializers.CharField(required=False, help_text="What a code takes off the goods.")
    delivery = serializers.CharField(required=False)
    added_tax = serializers.CharField(
        required=False, help_text="The tax that is not contained in the other parts."
    )


@extend_schema_field(TRUE_FALSE_UNKNOWN)
class ChargedField(serializers.Field[Any, Any, Any, Any]):
    pass


class MoneyProblemSerializer(ProblemSerializer):
    """A problem of a request about money. `charged` says whether that purchase was charged."""

    charged = ChargedField()
