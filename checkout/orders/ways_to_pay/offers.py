"""Which ways to pay a customer is offered, by their country and by what is to be paid."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings

from checkout.catalogue.gateways import gateway_names
from checkout.catalogue.money import minor_units

WORD = re.compile(r"(?P<country>[A-Z]{2})|(?P<bound><=|>=)(?P<amount>[0-9]{1,12}(?:\.[0-9]{1,4})?)")


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A gateway, and for whom. Amounts are in the main unit of the shop's currency."""

    gateway: str
    countries: frozenset[str] = frozenset()  # empty: all
    least: Decimal | None = None
    most: Decimal | None = None

    def is_for(self, country: str, total_minor: int | None, currency: str) -> bool:
        """Where the country or the total is not known yet, every offer is shown."""
        if country and self.countries and country not in self.countries:
            return False
        if total_minor is None:
            return True
        if self.least is not None and total_minor < minor_units(self.least, currency):
            return False
        return self.most is None or total_minor <= minor_units(self.most, currency)


def read_offers(text: str, names: Collection[str]) -> list[Offer]:
    """`card, transfer DE AT >=20 <=500`, with the names of gateways. An empty text is an empty
    list: all are offered to everybody. Raises ValueError where it cannot be read."""
    if not text:
        return []
    offers = [_read_offer(part.split()) for part in text.split(",")]
    offered = [offer.gateway for offer in offers]
    if not set(offered) <= set(names) or len(set(offered)) < len(offered):
        raise ValueError(text)
    return offers


def _read_offer(words: list[str]) -> Offer:
    if not words:
        raise ValueError("an offer without a name")
    name, *conditions = words
    countries, bounds = set(), {}
    for word in conditions:
        match = WORD.fullmatch(word)
        if match is None or match["bound"] in bounds:
            raise ValueError(word)
        if match["country"]:
            countries.add(match["country"])
        else:
            bounds[match["bound"]] = Decimal(match["amount"])
    return Offer(
        gateway=name,
        countries=frozenset(countries),
        least=bounds.get(">="),
        most=bounds.get("<="),
    )


def _offers() -> list[Offer]:
    offers: list[Offer] = settings.PAYMENT_OFFERS
    return offers or [Offer(gateway=name) for name in gateway_names()]


def offered_names() -> list[str]:
    """The gateways that are offered to anybody."""
    return [offer.gateway for offer in _offers()]


def offered(country: str, total_minor: int | None, currency: str) -> list[str]:
    """The names of the gateways that are offered, in the order in which the shop names them."""
    return [offer.gateway for offer in _offers() if offer.is_for(country, total_minor, currency)]


def chosen_or_first(gateway: str) -> str:
    """The gateway that was chosen. Forms and requests of a shop that offers one name none."""
    return gateway or gateway_names()[0]
