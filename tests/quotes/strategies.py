"""Any purchase and any rules that staff could have entered."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from checkout.quotes.quote import Quote, quote
from checkout.quotes.rules import (
    CodeKind,
    DeliveryMethod,
    DeliveryPrice,
    Destination,
    DiscountCode,
    Line,
    Rules,
    TaxClass,
    TaxRate,
)

TODAY = date(2026, 11, 29)

# Few, so that what is entered for a place and what is sent there often meet.
PLACES = [("DE", ""), ("IE", ""), ("US", ""), ("US", "CA"), ("US", "NY"), ("CA", "ON")]

CLASSES = st.sampled_from(TaxClass)
PERCENTS = st.one_of(
    st.sampled_from([Decimal(p) for p in ("0", "7", "19", "19.000", "13.5", "8.875", "100")]),
    st.decimals(min_value=0, max_value=100, places=3),
)
# Small amounts have the hardest remainders; the largest are of fifteen digits in all.
AMOUNTS = st.one_of(st.integers(0, 20), st.integers(0, 20_000), st.integers(0, 10**13))


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """What `quote` is asked."""

    lines: tuple[Line, ...]
    destination: Destination
    delivery: str
    code: str
    rules: Rules

    def quote(self) -> Quote:
        return quote(self.lines, self.destination, self.delivery, self.code, self.rules)


destinations = st.sampled_from(PLACES).map(
    lambda each: Destination(country=each[0], region=each[1])
)


@st.composite
def carts(draw: st.DrawFn) -> tuple[Line, ...]:
    count = draw(st.integers(0, 6))
    return tuple(
        Line(
            product_id=number,
            quantity=draw(st.integers(1, 99)),
            unit_price_minor=draw(AMOUNTS),
            weight_grams=draw(st.integers(0, 5000)),
            is_delivered=draw(st.booleans()),
            tax_class=draw(CLASSES),
        )
        for number in range(1, count + 1)
    )


@st.composite
def tax_tables(draw: st.DrawFn) -> tuple[TaxRate, ...]:
    """One rate at most for each place and class."""
    keys = st.tuples(st.sampled_from(PLACES), CLASSES)
    return tuple(
        TaxRate(country=country, region=region, tax_class=tax_class, percent=draw(PERCENTS))
        for (country, region), tax_class in draw(st.lists(keys, max_size=10, unique=True))
    )


@st.composite
def price_tables(draw: st.DrawFn) -> tuple[DeliveryPrice, ...]:
    """For some countries, bands that follow each other; the last may have an end."""
    prices = []
    for country in draw(st.lists(st.sampled_from(["", "DE", "IE", "US"]), max_size=3, unique=True)):
        ends = sorted(draw(st.sets(st.integers(1, 20_000), max_size=3)))
        starts, is_open = [0, *ends], draw(st.booleans())
        prices += [
            DeliveryPrice(country=country, at_least=start, below=end, price_minor=draw(AMOUNTS))
            for start, end in zip(starts, [*ends, None], strict=True)
            if end is not None or is_open
        ]
    return tuple(prices)


@st.composite
def methods(draw: st.DrawFn) -> tuple[DeliveryMethod, ...]:
    return tuple(
        DeliveryMethod(
            id=str(number),
            name=f"Method {number}",
            tax_class=draw(CLASSES),
            is_priced_by_weight=draw(st.booleans()),
            prices=draw(price_tables()),
        )
        for number in range(1, draw(st.integers(0, 3)) + 1)
    )


DAYS = st.none() | st.integers(-2, 2).map(lambda days: TODAY + timedelta(days=days))
LEFT = st.none() | st.integers(-1, 3)

codes = st.builds(
    DiscountCode,
    code=st.just("AUTUMN-10"),
    kind=st.sampled_from(CodeKind),
    percent=PERCENTS,
    amount_minor=AMOUNTS,
    least_goods_minor=st.sampled_from([0, 0, 1, 1000]),
    starts_on=DAYS,
    ends_on=DAYS,
    is_on=st.sampled_from([True, True, True, False]),
    uses_left=LEFT,
    customer_uses_left=LEFT,
)


@st.composite
def purchases(draw: st.DrawFn) -> Purchase:
    offered = draw(methods())
    rules = Rules(
        currency=draw(st.sampled_from(["EUR", "JPY", "KWD"])),
        today=TODAY,
        prices_include_tax=draw(st.booleans()),
        origin=draw(st.none() | destinations),
        tax_rates=draw(tax_tables()),
        has_delivery=bool(offered) or draw(st.booleans()),
        methods=offered,
        code=draw(st.none() | codes),
    )
    return Purchase(
        lines=draw(carts()),
        destination=draw(destinations),
        delivery=draw(st.sampled_from(["", "1", "2", "9"])),
        code=draw(st.sampled_from(["", "AUTUMN-10", "AUTUMN-10", "autumn-10", "GUESS", "ß"])),
        rules=rules,
    )
