"""Why a purchase cannot be had, as problem documents: the same for a quote and for an order."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rest_framework.exceptions import ValidationError

from checkout.api import problems
from checkout.api.problems import Problem
from checkout.api.purchases.basket import UnknownProducts
from checkout.catalogue.amounts import AmountRefusal, AmountRefused
from checkout.catalogue.models import Product
from checkout.catalogue.money import money, plain
from checkout.catalogue.stock import OutOfStock
from checkout.orders.placing.place import PlacingUnavailable
from checkout.orders.placing.purchase import QuoteRefused, TotalChanged
from checkout.orders.placing.quoting import Terms
from checkout.quotes.quote import Quote
from checkout.views.quote_words import refusal_words


@contextmanager
def told_as_problems(skus: Sequence[str], terms: Terms) -> Iterator[None]:
    """`skus` are those of the request's lines, in their order."""
    try:
        yield
    except UnknownProducts as unknown:
        message = "There is no such product on sale."
        errors = [{"sku": message} if sku in unknown.skus else {} for sku in skus]
        raise ValidationError({"lines": errors}) from None
    except QuoteRefused as refused:
        words = {each.field: refusal_words(each, terms) for each in refused.refusals}
        raise ValidationError(words) from None
    except TotalChanged as changed:
        raise Problem(problems.TOTAL_CHANGED, **_parts_now(changed.quote)) from None
    except AmountRefused as refused:
        raise _not_payable(refused.refusal) from None
    except OutOfStock as short:
        raise Problem(problems.OUT_OF_STOCK, products=_what_is_left(short)) from None
    except PlacingUnavailable:
        raise Problem(problems.UNAVAILABLE, wait=problems.RETRY_AFTER) from None


def _parts_now(quote: Quote) -> dict[str, Any]:
    amounts = {
        "total": quote.total_minor,
        "goods": quote.goods_minor,
        "discount": quote.discount_minor,
        "delivery": quote.delivery_minor,
        "added_tax": 0 if quote.prices_include_tax else quote.tax_minor,
    }
    told = {name: plain(money(minor, quote.currency)) for name, minor in amounts.items()}
    return told | {"currency": quote.currency}


def _not_payable(refusal: AmountRefusal) -> Problem:
    def amount(amount_minor: int) -> str:
        return plain(money(amount_minor, refusal.currency))

    limits = refusal.limits
    payable = limits and {
        "currency": refusal.currency,
        "smallest": amount(limits.smallest_minor),
        "largest": amount(limits.largest_minor),
        "step": amount(limits.step_minor),
    }
    total = amount(refusal.amount_minor)
    return Problem(
        problems.TOTAL_NOT_PAYABLE, total=total, currency=refusal.currency, payable=payable
    )


def _what_is_left(short: OutOfStock) -> list[dict[str, object]]:
    products = Product.objects.filter(pk__in=short.product_ids).order_by("id")
    return [
        {"sku": product.sku, "left": product.stock if product.is_on_sale else 0}
        for product in products
    ]
