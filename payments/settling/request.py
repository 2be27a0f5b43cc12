"""What a gateway is told of a payment. It is stored with the payment before the first call and then
never changed, so that a repeated call is the same call whatever staff correct meanwhile."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from checkout.orders.models import Order
from payments.gateways.base import (
    Abilities,
    LineKind,
    PaymentLine,
    PaymentRequest,
    PostalAddress,
)
from payments.models import Payment

# The names that the order has for them too.
ADDRESS = tuple(PostalAddress.__dataclass_fields__)

Details = dict[str, Any]


def details_of(order: Order, wanted: Abilities) -> Details:
    """Who buys, and what, as it is stored with the payment: what the gateway wants to know."""
    details: Details = {}
    if wanted.wants_customer:
        details["email"] = order.email
        details["delivery"] = {name: getattr(order, name) for name in ADDRESS}
        if order.billing:
            details["billing"] = _address(order.billing)
    if wanted.wants_lines:
        lines = list(_lines(order))
        # An order of an early release does not say what makes its total.
        if sum(line.total_minor for line in lines) == order.total_minor:
            details["lines"] = [asdict(line) | {"kind": line.kind.value} for line in lines]
    return details


def _lines(order: Order) -> Iterator[PaymentLine]:
    for line in order.lines.all():
        yield PaymentLine(
            kind=LineKind.GOODS,
            name=line.name,
            sku=line.sku,
            quantity=line.quantity,
            each_minor=line.unit_price_minor,
            total_minor=line.total_minor,
        )
    others = [
        (LineKind.DISCOUNT, order.discount_code, -order.discount_minor),
        (LineKind.DELIVERY, order.delivery_name, order.delivery_minor),
        (LineKind.TAX, "", 0 if order.prices_include_tax else order.tax_minor),
    ]
    for kind, name, amount in others:
        if amount:
            yield PaymentLine(
                kind=kind,
                name=name or kind.value.capitalize(),
                quantity=1,
                each_minor=amount,
                total_minor=amount,
            )


def request_of(payment: Payment) -> PaymentRequest:
    """The payment as its gateway is told of it, the same in every repetition."""
    details: Details = payment.details or {}
    delivery = details.get("delivery")
    billing = details.get("billing") or delivery
    return PaymentRequest(
        order=payment.identity,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        payment_method=payment.payment_method,
        return_url=payment.return_url,
        language=payment.order.language,
        email=details.get("email", ""),
        delivery=PostalAddress(**delivery) if delivery else None,
        billing=PostalAddress(**billing) if billing else None,
        lines=tuple(
            PaymentLine(**(line | {"kind": LineKind(line["kind"])}))
            for line in details.get("lines", [])
        ),
        captures_later=payment.captures_later,
    )


def _address(stored: Mapping[str, str]) -> dict[str, str]:
    return {name: stored.get(name, "") for name in ADDRESS}
