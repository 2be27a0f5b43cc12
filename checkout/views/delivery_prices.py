"""What delivery costs, for whoever asks before there is anything in the cart."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from checkout.catalogue.rules.measures import measure_words, value_words
from checkout.catalogue.rules.price_list import (
    Band,
    CountryGroup,
    MethodPrices,
    price_list,
    rules_there_are,
)
from checkout.runtime.clock import database_now
from checkout.texts.markup import html_of
from checkout.texts.models import TextKind
from checkout.texts.read import read_text
from checkout.user_input.countries import country_name


@dataclass(frozen=True)
class BandWords:
    goods: str
    price: str


@dataclass(frozen=True)
class GroupWords:
    countries: str
    bands: list[BandWords]


@dataclass(frozen=True)
class MethodWords:
    name: str
    duration: str
    measure: str
    groups: list[GroupWords]


@never_cache
@require_safe
def delivery_prices(request: HttpRequest) -> HttpResponse:
    there_are = rules_there_are(database_now().date())
    methods = price_list()
    text = read_text(TextKind.DELIVERY)
    context = {
        "text": text,
        "text_html": html_of(text.body, heading="h3") if text else "",
        "methods": [_method_words(method) for method in methods],
        "has_delivery": there_are.has_delivery,
        "goes_everywhere": any(
            "" in group.countries for method in methods for group in method.groups
        ),
        "countries": _names(_countries(methods)),
        "says_tax": there_are.has_tax and settings.PRICES_INCLUDE_TAX,
        "adds_tax": there_are.has_tax and not settings.PRICES_INCLUDE_TAX,
    }
    return render(request, "checkout/delivery_prices.html", context)


def _countries(methods: Iterable[MethodPrices]) -> set[str]:
    return {country for method in methods for group in method.groups for country in group.countries}


def _names(countries: Iterable[str]) -> str:
    return ", ".join(sorted(country_name(country) for country in countries if country))


def _method_words(prices: MethodPrices) -> MethodWords:
    method = prices.method
    measure = measure_words(is_by_weight=method.is_priced_by_weight)
    return MethodWords(
        name=method.name,
        duration=method.duration,
        measure=_("Weight") if method.is_priced_by_weight else _("Value of the goods"),
        groups=[_group_words(group, measure) for group in prices.groups],
    )


def _group_words(group: CountryGroup, measure: Callable[[int], str]) -> GroupWords:
    return GroupWords(
        countries=_names(group.countries) or _("All other countries"),
        bands=[BandWords(_goods_words(band, measure), _price_words(band)) for band in group.bands],
    )


def _goods_words(band: Band, measure: Callable[[int], str]) -> str:
    """A band begins with its first amount and ends before its second."""
    amounts = {"from": measure(band.at_least), "below": measure(band.below or 0)}
    if band.below is None:
        return _("from %(from)s") % amounts if band.at_least else _("any")
    if not band.at_least:
        return _("below %(below)s") % amounts
    return _("from %(from)s, below %(below)s") % amounts


def _price_words(band: Band) -> str:
    if band.price_minor is None:
        return _("not this way")
    return value_words(band.price_minor) if band.price_minor else _("free")
