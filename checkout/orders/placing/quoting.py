"""What a purchase costs as it is asked for now: the one way by which page, API and placing know."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from checkout.catalogue.rules.read import read_rules
from checkout.orders.code_uses import find_code
from checkout.quotes.quote import Quote, quote
from checkout.quotes.rules import Destination, Line


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a customer chose beside the goods, on which the price depends."""

    country: str
    region: str = ""
    delivery_method: str = ""  # the method's id; empty: the first that is offered
    takes_cheapest: bool = False  # where no method is named: the cheapest instead of the first
    code: str = ""
    email: str = ""  # tells whether this customer has had the code; empty: not known yet

    @property
    def destination(self) -> Destination:
        return Destination(country=self.country, region=self.region)


def work_out(lines: Sequence[Line], terms: Terms, *, now: datetime) -> Quote:
    """Quote the lines by rules that one statement reads, or three at most with a code."""
    code = find_code(terms.code, terms.email)
    rules = read_rules(terms.destination, today=now.date(), code=code)
    quoted = quote(lines, terms.destination, terms.delivery_method, terms.code, rules)
    if terms.takes_cheapest and not terms.delivery_method and quoted.offered:
        cheapest = min(quoted.offered, key=lambda offer: offer.price_minor).method.id
        quoted = quote(lines, terms.destination, cheapest, terms.code, rules)
    return quoted


def work_out_each(lines: Sequence[Line], terms: Terms, *, now: datetime) -> list[Quote]:
    """Quote the lines once for each method that is offered, by rules that are read once. There is
    one quote at least: without a method where nothing is delivered, or where none goes there."""
    code = find_code(terms.code, terms.email)
    rules = read_rules(terms.destination, today=now.date(), code=code)
    first = quote(lines, terms.destination, "", terms.code, rules)
    others = [
        quote(lines, terms.destination, offer.method.id, terms.code, rules)
        for offer in first.offered[1:]
    ]
    return [first, *others]
