"""What a purchase would cost, with each method of delivery that is offered. It leaves no trace."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from checkout.api.purchases.basket import purchase_lines
from checkout.api.purchases.refusals import told_as_problems
from checkout.catalogue.money import money, plain
from checkout.orders.limits.limits import Visitor
from checkout.orders.placing.purchase import QuoteRefused
from checkout.orders.placing.quoting import Terms, work_out_each
from checkout.quotes.quote import Quote
from checkout.quotes.rules import code_spelling, plain_percent
from checkout.runtime.clock import database_now


class QuotedTaxSerializer(serializers.Serializer[Any]):
    percent = serializers.CharField()
    net = serializers.CharField(help_text="What is taxed, without the tax.")
    tax = serializers.CharField()


class QuotedMethodSerializer(serializers.Serializer[Any]):
    """The purchase as it is when it is delivered by this method."""

    id = serializers.CharField(
        help_text="Send it as `delivery_method`. Empty where there is nothing to choose."
    )
    name = serializers.CharField()
    duration = serializers.CharField(help_text="How long delivery takes, in words.")
    price = serializers.CharField(help_text="Of the delivery.")
    total = serializers.CharField(help_text="Of everything. Send it as `expected_total`.")
    tax = QuotedTaxSerializer(many=True)
    needs_phone = serializers.BooleanField(
        help_text="Whether an order by this method needs a `phone`."
    )


class QuoteSerializer(serializers.Serializer[Any]):
    """What a purchase costs now. All amounts are written as prices are."""

    currency = serializers.CharField()
    goods = serializers.CharField(help_text="The sum of the lines.")
    discount = serializers.CharField(help_text="What the code takes off the goods.")
    code = serializers.CharField(help_text="In capital letters; empty without one.")
    prices_include_tax = serializers.BooleanField(
        help_text="Whether taxes are contained in the other amounts, or added to them."
    )
    methods = QuotedMethodSerializer(many=True, help_text="One at least.")


def quote_purchase(wanted: Mapping[str, Any], visitor: Visitor) -> dict[str, Any]:
    """The content of the response to a request that was found valid. It writes nothing, but counts
    the visitor's wrong codes."""
    quantities = {line["sku"]: line["quantity"] for line in wanted["lines"]}
    terms = Terms(
        country=wanted["country"],
        region=wanted.get("region", ""),
        code=code_spelling(wanted.get("code", "")),
        email=wanted.get("email", ""),
    )
    with told_as_problems([*quantities], terms):
        lines = [each.line for each in purchase_lines(quantities)]
        quotes = work_out_each(lines, terms, now=database_now(), visitor=visitor)
        if refusals := quotes[0].refusals:
            raise QuoteRefused(refusals)
    first = quotes[0]
    return {
        "currency": first.currency,
        "goods": _amount(first, first.goods_minor),
        "discount": _amount(first, first.discount_minor),
        "code": first.code.code if first.code else "",
        "prices_include_tax": first.prices_include_tax,
        "methods": [_method(quote) for quote in quotes],
    }


def _method(quote: Quote) -> dict[str, Any]:
    method = quote.delivery.method if quote.delivery else None
    return {
        "id": method.id if method else "",
        "name": method.name if method else "",
        "duration": method.duration if method else "",
        "price": _amount(quote, quote.delivery_minor),
        "total": _amount(quote, quote.total_minor),
        "tax": [
            {
                "percent": plain_percent(tax.percent),
                "net": _amount(quote, tax.net_minor),
                "tax": _amount(quote, tax.tax_minor),
            }
            for tax in quote.taxes
        ],
        "needs_phone": bool(method and method.needs_phone),
    }


def _amount(quote: Quote, amount_minor: int) -> str:
    return plain(money(amount_minor, quote.currency))
