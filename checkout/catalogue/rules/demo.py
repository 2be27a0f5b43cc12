"""The demo's rules of prices: rates of six countries, two ways of delivery, and two codes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from checkout.catalogue.models import DeliveryMethod, DeliveryPrice, DiscountCode, TaxRate
from checkout.catalogue.rules.load_rates import Loaded, load_rates, lock_rates
from checkout.catalogue.rules.published_rates import published_rates

COUNTRIES = {"AT", "DE", "FR", "GB", "IE"}

# The United States have no VAT. California's own rate holds there alone, without those of its
# counties (California Department of Tax and Fee Administration, from 2017-01-01).
CALIFORNIA = {
    "country": "US",
    "region": "CA",
    "tax_class": "standard",
    "percent": Decimal("7.25"),
    "holds_from": date(2017, 1, 1),
    "source": "California Department of Tax and Fee Administration, statewide rate",
}

Row = tuple[int, int | None, int]  # from, below, price

PARCEL = {
    "name": "Standard parcel",
    "duration": "2–5 days",
    "tracking_address": "https://parcels.example/?number={number}",
    "is_priced_by_weight": True,
    "position": 0,
}
# In grams. More than 31.5 kg is no parcel.
NEAR: Sequence[Row] = [(0, 1_000, 490), (1_000, 5_000, 690), (5_000, 31_500, 1190)]
FRANCE: Sequence[Row] = [(0, 1_000, 690), (1_000, 5_000, 990), (5_000, 31_500, 1690)]
FAR: Sequence[Row] = [(0, 1_000, 990), (1_000, 5_000, 1690), (5_000, 31_500, 3490)]
ELSEWHERE: Sequence[Row] = [(0, 1_000, 1490), (1_000, 5_000, 2990), (5_000, 20_000, 5990)]
PARCEL_PRICES = {
    **dict.fromkeys(["DE", "AT", "IE"], NEAR),
    "FR": FRANCE,
    **dict.fromkeys(["GB", "US"], FAR),
    "": ELSEWHERE,
}

EXPRESS = {
    "name": "Express",
    "duration": "The next working day",
    "tracking_address": "https://express.example/track/{number}",
    "needs_phone": True,
    "position": 1,
}
# Express costs by the value of the goods, and nothing from 100 on, or from 200 on to GB and US.
EXPRESS_NEAR: Sequence[Row] = [(0, 10_000, 1290), (10_000, None, 0)]
EXPRESS_FAR: Sequence[Row] = [(0, 20_000, 2990), (20_000, None, 0)]
EXPRESS_PRICES = {
    **dict.fromkeys(["DE", "AT", "IE", "FR"], EXPRESS_NEAR),
    **dict.fromkeys(["GB", "US"], EXPRESS_FAR),
}

CODES = [
    {"code": "WELCOME10", "kind": "percent", "percent": 10, "per_customer": 1},
    {"code": "FREESHIP", "kind": "free_delivery", "least_goods_minor": 4_000},
]


@dataclass(frozen=True)
class DemoRules:
    """How many of each were added."""

    rates: int
    methods: int
    codes: int


def load_demo_rules() -> DemoRules:
    """Add what is missing. What a shop has of its own stays alone: rates of a country that has any,
    and every delivery method. Call it inside a transaction."""
    lock_rates()  # a second process that does the same waits here
    rates = _load_rates()
    codes = DiscountCode.objects.count()
    DiscountCode.objects.bulk_create(
        [DiscountCode(**code, note="Demo") for code in CODES], ignore_conflicts=True
    )
    return DemoRules(
        rates=rates, methods=_load_methods(), codes=DiscountCode.objects.count() - codes
    )


def _load_rates() -> int:
    known = set(TaxRate.objects.values_list("country", flat=True))
    wanted = [rate for rate in published_rates() if rate.country in COUNTRIES - known]
    added = sum(each.became is Loaded.ADDED for each in load_rates(wanted))
    if "US" in known:
        return added
    TaxRate.objects.create(**CALIFORNIA)
    return added + 1


def _load_methods() -> int:
    if DeliveryMethod.objects.exists():
        return 0
    tables = [(PARCEL, PARCEL_PRICES), (EXPRESS, EXPRESS_PRICES)]
    for fields, prices in tables:
        method = DeliveryMethod.objects.create(**fields)
        DeliveryPrice.objects.bulk_create(
            DeliveryPrice(
                method=method, country=country, at_least=at_least, below=below, price_minor=price
            )
            for country, rows in prices.items()
            for at_least, below, price in rows
        )
    return len(tables)
