"""Weights and values as price tables say them."""

from collections.abc import Callable

from django.conf import settings
from django.utils.formats import localize

from checkout.catalogue.money import money, show_money


def weight_words(grams: int) -> str:
    """`500 g`, `1 kg`, `2.5 kg`, in the language of the request."""
    if grams < 1000 or grams % 100:
        return f"{grams} g"
    return f"{localize(grams // 1000 if grams % 1000 == 0 else grams / 1000)} kg"


def value_words(amount_minor: int) -> str:
    return show_money(money(amount_minor, settings.SHOP_CURRENCY))


def measure_words(*, is_by_weight: bool) -> Callable[[int], str]:
    return weight_words if is_by_weight else value_words
