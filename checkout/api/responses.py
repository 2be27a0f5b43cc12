"""What is answered about an order: its shape, and the same answer again for a repeated request."""

import copy
from collections.abc import Mapping
from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from checkout.api.fulfilment.shipments import ShipmentSerializer, parcels_of
from checkout.api.idempotency import IdempotentRequest
from checkout.api.problems import KEY_REUSED, Problem
from checkout.api.serializers import AMOUNT, TRUE_FALSE_UNKNOWN, MoneyField
from checkout.catalogue.money import money, plain
from checkout.models import ApiRequest
from checkout.orders.cancelling import customer_can_cancel_paid
from checkout.orders.models import Order, OrderLine, Shipment
from checkout.orders.money.facts import MoneyFacts, Moved, facts_about, facts_of
from checkout.orders.money.parts import Parts
from checkout.orders.placing.place import absorb_resubmission
from checkout.orders.states import PAID_FOR, SENDABLE, DispatchStatus, OrderStatus
from checkout.orders.ways_to_pay.web_side import web_side_of
from checkout.quotes.rules import plain_percent
from checkout.runtime.clock import database_now

REPLAYED_HEADER = "Idempotent-Replayed"

PERCENT = "A decimal number as text: 19, or 5.5."


class DeliverySerializer(serializers.Serializer[Any]):
    method = serializers.CharField(
        help_text="Its id among the methods of a quote. Staff may have removed it since."
    )
    name = serializers.CharField(help_text="As it was when the order was placed.")
    price = serializers.CharField()


class TaxSerializer(serializers.Serializer[Any]):
    """The tax of one rate, over the lines and the delivery that have it."""

    percent = serializers.CharField(help_text=PERCENT)
    net = serializers.CharField(help_text="What the tax is worked out for, without the tax.")
    tax = serializers.CharField()


class OrderLineSerializer(serializers.ModelSerializer[OrderLine]):
    total = MoneyField(help_text="Before the discount.")
    discount = serializers.SerializerMethodField(help_text="The line's share of the order's.")
    tax_percent = serializers.SerializerMethodField(
        help_text=f"{PERCENT} null: the order is from before tax was worked out."
    )
    tax = serializers.SerializerMethodField(help_text="The line's share of the tax of its rate.")

    class Meta:
        model = OrderLine
        fields = ["id", "sku", "name", "quantity", "total", "discount", "tax_percent", "tax"]

    def get_discount(self, line: OrderLine) -> str:
        return _told_amount(line.discount_minor, line.order.currency)

    def get_tax_percent(self, line: OrderLine) -> str | None:
        return None if line.tax_percent is None else plain_percent(line.tax_percent)

    def get_tax(self, line: OrderLine) -> str:
        return _told_amount(line.tax_minor, line.order.currency)


def charged(order: Order) -> bool | str:
    return is_charged(facts_about(order))


def is_charged(facts: MoneyFacts) -> bool | str:
    """Whether anything was charged for the order, also where it was sent back since."""
    if facts.is_charged:
        return True
    return "unknown" if facts.is_charge_unknown else False


class NamedValueSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    value = serializers.CharField()


class OrderListSerializer(serializers.ListSerializer[Order]):
    def to_representation(self, data: Any) -> list[Any]:
        """Read what was charged and what was sent for all orders of a page at once."""
        orders = list(data)
        assert isinstance(self.child, OrderSerializer)  # noqa: S101 - for the type checker
        self.child.known_facts = facts_of(orders)
        self.child.known_parcels = parcels_of(orders)
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
    can_cancel = serializers.SerializerMethodField(
        help_text=(
            "Whether its customer can have it cancelled: while it waits to be paid and, if this "
            "shop allows it, while it is paid and nothing was sent."
        )
    )
    dispatch_status = serializers.ChoiceField(
        DispatchStatus.choices,
        help_text="How far it is sent. Empty: it was placed before that was written down.",
    )
    shipments = serializers.SerializerMethodField(help_text="The parcels that were sent.")
    action_url = serializers.SerializerMethodField(
        help_text="Where the customer approves the payment at their bank, while it asks for that."
    )
    send_money_to = serializers.SerializerMethodField(
        help_text=(
            "While the order waits for money that its customer sends themselves: the account, the "
            "amount and the reference, as their customer should read them. Empty otherwise."
        )
    )
    total = MoneyField(help_text=AMOUNT)
    refunded = MoneyField(help_text=f"How much of it was sent back. {AMOUNT}")
    goods = serializers.SerializerMethodField(help_text="The sum of the lines.")
    discount = serializers.SerializerMethodField(help_text="What the code takes off the goods.")
    delivery = serializers.SerializerMethodField(help_text="null: nothing was to be chosen.")
    code = serializers.CharField(
        source="discount_code", help_text="In capital letters; empty without one."
    )
    tax = serializers.SerializerMethodField(
        help_text="Empty: there is none, or the order is from before tax was worked out."
    )
    prices_include_tax = serializers.BooleanField(
        help_text="Whether the other amounts contain the tax. If not, `total` has it added."
    )
    lines = OrderLineSerializer(many=True)

    class Meta:
        model = Order
        list_serializer_class = OrderListSerializer
        fields = [
            *("number", "reference", "status", "charged", "is_final", "can_pay", "can_cancel"),
            *("action_url", "send_money_to", "dispatch_status"),
            *("total", "refunded", "currency", "goods", "discount", "delivery", "code", "tax"),
            *("prices_include_tax", "lines", "shipments", "placed_at"),
        ]

    known_facts: Mapping[int, MoneyFacts] = {}
    known_parcels: Mapping[int, list[Shipment]] | None = None

    def to_representation(self, instance: Order) -> dict[str, Any]:
        if instance.pk not in self.known_facts:
            self.known_facts = facts_of([instance])
        if self.known_parcels is None:
            self.known_parcels = parcels_of([instance])
        return super().to_representation(instance)

    @extend_schema_field(TRUE_FALSE_UNKNOWN)
    def get_charged(self, order: Order) -> bool | str:
        return is_charged(self.known_facts[order.pk])

    def get_is_final(self, order: Order) -> bool:
        is_being_sent_back = order.status in SENDABLE and order.is_cancelled_and_paid
        return self.known_facts[order.pk].is_final and not is_being_sent_back

    def get_can_pay(self, order: Order) -> bool:
        return self.known_facts[order.pk].can_pay

    def get_can_cancel(self, order: Order) -> bool:
        return self.get_can_pay(order) or customer_can_cancel_paid(order)

    @extend_schema_field(ShipmentSerializer(many=True))
    def get_shipments(self, order: Order) -> Any:
        parcels = (self.known_parcels or {}).get(order.pk, [])
        return ShipmentSerializer(parcels, many=True).data

    def get_action_url(self, order: Order) -> str | None:
        return order.action_url or None

    @extend_schema_field(NamedValueSerializer(many=True))
    def get_send_money_to(self, order: Order) -> list[dict[str, str]]:
        if order.status != OrderStatus.ACTION_REQUIRED:
            return []
        waiting = web_side_of(order).waiting(order)
        facts = waiting.facts if waiting else []
        return [{"name": name, "value": value} for name, value in facts]

    def get_goods(self, order: Order) -> str:
        return _told_amount(Parts.of_order(order).goods_minor, order.currency)

    def get_discount(self, order: Order) -> str:
        return _told_amount(order.discount_minor, order.currency)

    @extend_schema_field(DeliverySerializer(allow_null=True))
    def get_delivery(self, order: Order) -> dict[str, str] | None:
        return _told_delivery(Parts.of_order(order), order.delivery_method)

    @extend_schema_field(TaxSerializer(many=True))
    def get_tax(self, order: Order) -> list[dict[str, str]]:
        return _told_taxes(Parts.of_order(order))


def _told_delivery(parts: Parts, method: str) -> dict[str, str] | None:
    if not (method or parts.has_delivery):
        return None
    return {
        "method": method,
        "name": parts.delivery_name,
        "price": _told_amount(parts.delivery_minor, parts.currency),
    }


def _told_taxes(parts: Parts) -> list[dict[str, str]]:
    return [
        {
            "percent": plain_percent(tax.percent),
            "net": _told_amount(tax.net_minor, parts.currency),
            "tax": _told_amount(tax.tax_minor, parts.currency),
        }
        for tax in parts.taxes
    ]


def _told_amount(amount_minor: int, currency: str) -> str:
    return plain(money(amount_minor, currency))


def order_response(order: Order, *, status_code: int, order_status: OrderStatus) -> Response:
    """The order in the status it had when the request was first done, whatever came since."""
    then = copy.copy(order)
    then.status, then.action_url, then.refunded_minor = order_status, "", 0
    then.dispatch_status = _dispatch_then(order, order_status)
    serializer = OrderSerializer(then)
    serializer.known_parcels = {}  # no order is sent before the first answer about it
    # A request that leaves an order paid has had it cancelled, and its money goes back. One that
    # leaves it authorised, or in any other status than cancelled, has charged nothing yet.
    if order_status != OrderStatus.CANCELLED:
        total_minor, is_paid = order.total_minor, order_status in PAID_FOR
        moved = Moved(charged_minor=total_minor, charges=1) if is_paid else Moved()
        facts = MoneyFacts(status=order_status, total_minor=total_minor, moved=moved)
        serializer.known_facts = {order.pk: facts}
    location = reverse("api_order", args=[order.reference])
    return Response(serializer.data, status=status_code, headers={"Location": location})


def _dispatch_then(order: Order, order_status: OrderStatus) -> DispatchStatus:
    """How far the order was sent when the request was first done. One that leaves it paid has had
    it cancelled: nothing of it was sent, and nothing will be."""
    if order.dispatch_status == DispatchStatus.NOT_RECORDED:
        return DispatchStatus.NOT_RECORDED
    if order_status in SENDABLE:
        return DispatchStatus.CALLED_OFF
    if any(line.is_delivered for line in order.lines.all()):
        return DispatchStatus.UNSENT
    return DispatchStatus.NOTHING_TO_SEND


def replayed_response(earlier: ApiRequest, asked: IdempotentRequest) -> Response:
    """What the first request with this key was answered, or a refusal if this one asks for
    something else. The repetition is counted on the order."""
    if earlier.operation == ApiRequest.Operation.PLACE == asked.operation:
        absorb_resubmission(earlier.order, [asked.fingerprint], now=database_now())
    if not asked.is_repeat_of(earlier):
        # The order of a parcel is somebody else's, and no purchase of this client.
        is_about_parcel = earlier.operation == ApiRequest.Operation.SHIP
        raise Problem(KEY_REUSED, charged=False if is_about_parcel else charged(earlier.order))
    response = order_response(
        earlier.order,
        status_code=earlier.status_code,
        order_status=OrderStatus(earlier.order_status),
    )
    response.headers[REPLAYED_HEADER] = "true"
    return response
