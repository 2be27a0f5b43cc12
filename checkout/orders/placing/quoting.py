"""What a purchase costs as it is asked for now: the one way by which page, API and placing know."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from checkout.catalogue.rules.read import read_rules
from checkout.orders.code_uses import find_code
from checkout.orders.limits.limits import Visitor, count_wrong_code, wait_before_trying_code
from checkout.quotes.quote import Quote, Refusal, quote
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


# What somebody who guesses codes meets. A code that only asks for more goods is a right one.
WRONG_CODE = frozenset(
    {
        Refusal.CODE_UNKNOWN,
        Refusal.CODE_NOT_YET,
        Refusal.CODE_ENDED,
        Refusal.CODE_USED_UP,
        Refusal.CODE_USED_BY_CUSTOMER,
    }
)


def work_out(
    lines: Sequence[Line], terms: Terms, *, now: datetime, visitor: Visitor | None = None
) -> Quote:
    """Quote the lines by rules that one statement reads, or three at most with a code.

    Whoever shows a quote names the `visitor` who typed the code, whose wrong codes are counted by
    one statement more. Inside the placing transaction there is none: `place_order` counts around
    it.
    """
    if visitor and is_held_back(terms.code, visitor, now=now):
        return _with_code_held_back(work_out(lines, replace(terms, code=""), now=now))
    code = find_code(terms.code, terms.email)
    rules = read_rules(terms.destination, today=now.date(), code=code)
    quoted = quote(lines, terms.destination, terms.delivery_method, terms.code, rules)
    if terms.takes_cheapest and not terms.delivery_method and quoted.offered:
        cheapest = min(quoted.offered, key=lambda offer: offer.price_minor).method.id
        quoted = quote(lines, terms.destination, cheapest, terms.code, rules)
    if visitor:
        count_if_wrong(quoted.refusals, visitor, now=now)
    return quoted


def work_out_each(
    lines: Sequence[Line], terms: Terms, *, now: datetime, visitor: Visitor | None = None
) -> list[Quote]:
    """Quote the lines once for each method that is offered, by rules that are read once. There is
    one quote at least: without a method where nothing is delivered, or where none goes there."""
    if visitor and is_held_back(terms.code, visitor, now=now):
        quotes = work_out_each(lines, replace(terms, code=""), now=now)
        return [_with_code_held_back(each) for each in quotes]
    code = find_code(terms.code, terms.email)
    rules = read_rules(terms.destination, today=now.date(), code=code)
    first = quote(lines, terms.destination, "", terms.code, rules)
    others = [
        quote(lines, terms.destination, offer.method.id, terms.code, rules)
        for offer in first.offered[1:]
    ]
    if visitor:
        count_if_wrong(first.refusals, visitor, now=now)
    return [first, *others]


def _with_code_held_back(quoted: Quote) -> Quote:
    return replace(quoted, refusals=(Refusal.CODE_TOO_MANY_TRIES, *quoted.refusals))


def is_held_back(code: str, visitor: Visitor, *, now: datetime) -> bool:
    """Whether this visitor has tried too many wrong codes lately for another to be looked up."""
    return bool(code) and wait_before_trying_code(visitor, now=now) is not None


def count_if_wrong(refusals: Collection[Refusal], visitor: Visitor, *, now: datetime) -> None:
    if WRONG_CODE.intersection(refusals):
        count_wrong_code(visitor, now=now)
