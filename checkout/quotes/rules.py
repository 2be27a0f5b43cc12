"""What a quote is worked out from. Somebody has read it beforehand, as it holds on one day."""

import unicodedata
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum


def plain_percent(percent: Decimal) -> str:
    """The percentage in one spelling, as programs read it: `19`, `5.5`. A rate that was read from
    the database has three decimals."""
    return f"{percent.normalize():f}"


class TaxClass(StrEnum):
    STANDARD = "standard"
    REDUCED = "reduced"
    ZERO = "zero"


class CodeKind(StrEnum):
    PERCENT = "percent"
    AMOUNT = "amount"
    FREE_DELIVERY = "free_delivery"


# Keyboards write these where a code has the plain sign: hyphens that a phone has made dashes of,
# and the capital of i in Turkish. The other differences are what NFKC and capitals are for.
TYPED_FOR = str.maketrans(
    {
        "\N{HYPHEN}": "-",
        "\N{NON-BREAKING HYPHEN}": "-",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{MINUS SIGN}": "-",
        "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}": "I",
    }
)


def code_spelling(typed: str) -> str:
    """The one spelling of a discount code, however it was typed. All who compare codes use this, or
    a code would be found in one place and unknown in the next."""
    plain = unicodedata.normalize("NFKC", typed.translate(TYPED_FOR)).translate(TYPED_FOR)
    return plain.upper().strip()


@dataclass(frozen=True, kw_only=True)
class Line:
    """Some pieces of one product, with the product as it is now."""

    product_id: int
    quantity: int
    unit_price_minor: int
    weight_grams: int = 0  # of one piece
    is_delivered: bool = True  # False for a voucher or a file
    tax_class: TaxClass = TaxClass.STANDARD

    @property
    def total_minor(self) -> int:
        return self.quantity * self.unit_price_minor


@dataclass(frozen=True, kw_only=True)
class Destination:
    country: str  # ISO 3166-1 alpha-2
    region: str = ""  # as the country abbreviates it; empty where it has none, or is not known


@dataclass(frozen=True, kw_only=True)
class TaxRate:
    country: str
    region: str = ""  # empty: everywhere in the country that has no rate of its own
    tax_class: TaxClass
    percent: Decimal


@dataclass(frozen=True, kw_only=True)
class DeliveryPrice:
    """What delivery costs for goods from `at_least` on and less than `below`."""

    country: str  # empty: every country for which the method has no price of its own
    at_least: int = 0  # in minor units or in grams, by the method
    below: int | None = None  # None: without an end
    price_minor: int


@dataclass(frozen=True, kw_only=True)
class DeliveryMethod:
    id: str  # what forms and programs name the method by
    name: str
    duration: str = ""  # how long it takes, in words
    tax_class: TaxClass = TaxClass.STANDARD
    is_priced_by_weight: bool = False  # otherwise by the value of the goods after the discount
    needs_phone: bool = False
    prices: tuple[DeliveryPrice, ...] = ()

    def price_minor(self, country: str, *, value_minor: int, weight_grams: int) -> int | None:
        """None: this method does not go there, or not with so much."""
        prices = [price for price in self.prices if price.country == country]
        measure = weight_grams if self.is_priced_by_weight else value_minor
        for price in prices or [price for price in self.prices if not price.country]:
            if measure >= price.at_least and (price.below is None or measure < price.below):
                return price.price_minor
        return None


@dataclass(frozen=True, kw_only=True)
class DiscountCode:
    code: str  # in capital letters
    kind: CodeKind
    percent: Decimal = Decimal(0)
    amount_minor: int = 0
    least_goods_minor: int = 0  # of the goods before the discount
    starts_on: date | None = None
    ends_on: date | None = None  # the last day on which the code holds
    is_on: bool = True
    uses_left: int | None = None  # None: as many as anybody likes
    customer_uses_left: int | None = None


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Everything but the purchase itself that its price depends on."""

    currency: str
    today: date
    # Whether prices are entered and shown with tax. With tax, a price is the same in every country,
    # and what differs is how much of it is tax.
    prices_include_tax: bool
    # Whose rates count: the shop's own where this is set, otherwise those of the destination.
    origin: Destination | None = None
    tax_rates: tuple[TaxRate, ...] = ()
    # A shop that never entered a delivery method delivers everywhere, for nothing.
    has_delivery: bool = False
    methods: tuple[DeliveryMethod, ...] = ()  # those that are on, in the order they are offered
    has_codes: bool = False  # whether there is any code at all, so that a field for it is shown
    code: DiscountCode | None = None  # the one that was asked for, if there is such a code

    def tax_percent(self, tax_class: TaxClass, destination: Destination) -> Decimal:
        """The percentage for the region, else that of its country, else 0."""
        place = self.origin or destination
        of_region = of_country = None
        for rate in self.tax_rates:
            if rate.country == place.country and rate.tax_class == tax_class:
                if not rate.region:
                    of_country = rate.percent
                elif rate.region == place.region:
                    of_region = rate.percent
        found = of_country if of_region is None else of_region
        return Decimal(0) if found is None else found
