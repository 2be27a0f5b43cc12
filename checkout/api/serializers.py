"""The shape of responses, and of the bodies that are about an order."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from checkout.api.request_fields import PAYMENT_METHOD, StrictSerializer, cleaned, form_field
from checkout.catalogue.models import Product
from checkout.catalogue.money import plain
from checkout.forms import PayAgainForm
from checkout.orders.models import Order, OrderLine
from checkout.orders.money.facts import MoneyFacts, facts_about, facts_of
from checkout.orders.states import OrderStatus

TRUE_FALSE_UNKNOWN = {"oneOf": [{"type": "boolean"}, {"type": "string", "const": "unknown"}]}

AMOUNT = (
    "In the main unit of `currency`, as text with a point and with all decimals that the currency "
    "has: 12.50 of euros, 1250 of yen, 1.250 of Kuwaiti dinars."
)


class WantedPayment(StrictSerializer):
    """Another method to pay with."""

    payment_method = form_field("payment_method", help_text=PAYMENT_METHOD)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return {"payment_method": cleaned(PayAgainForm, attrs)["payment_method"]}


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
