"""Which amounts a payment gateway can take, asked before an order is placed.

The gateway's web side answers from a table, without a call, so that a web process need not load the
gateway. The side that calls gives the same answer.
"""

from dataclasses import dataclass
from enum import Enum

from checkout.catalogue.gateways import gateway_names, part_of

# The largest number that a PositiveBigIntegerField holds.
LARGEST_STORED = 2**63 - 1


class Objection(Enum):
    """Why a gateway can never take an amount."""

    CURRENCY = "currency"
    TOO_SMALL = "too small"
    TOO_LARGE = "too large"
    NO_SUCH_STEP = "no such step"


@dataclass(frozen=True, kw_only=True)
class AmountLimits:
    """Which amounts of a currency a gateway can take, in the shop's minor unit of it."""

    smallest_minor: int = 1
    largest_minor: int = LARGEST_STORED
    step_minor: int = 1  # every amount is a multiple of this, also a refund's

    def objection_to(self, amount_minor: int) -> Objection | None:
        if amount_minor < self.smallest_minor:
            return Objection.TOO_SMALL
        if amount_minor > self.largest_minor:
            return Objection.TOO_LARGE
        return Objection.NO_SUCH_STEP if amount_minor % self.step_minor else None


@dataclass(frozen=True, kw_only=True)
class AmountRefusal:
    """An amount that the gateway can never take. `limits` is None when the currency is to blame."""

    amount_minor: int
    currency: str
    objection: Objection
    limits: AmountLimits | None


class AmountRefused(Exception):
    """The gateway can never take this amount, so nothing was ordered and nothing charged."""

    def __init__(self, refusal: AmountRefusal) -> None:
        super().__init__(refusal.objection.value)
        self.refusal = refusal


def limits_of(currency: str, gateway: str = "") -> AmountLimits | None:
    """The limits of a currency, or None where the gateway cannot take that currency at all. An
    empty name is the shop's first gateway. No limits are known of one that was taken out."""
    if gateway and gateway not in gateway_names():
        return AmountLimits()
    limits: AmountLimits | None = part_of(gateway, "web.WEB").limits(currency)
    return limits


def refusal_of(amount_minor: int, currency: str, gateway: str = "") -> AmountRefusal | None:
    """Why the gateway could never take this amount, or None. It is never asked to take 0."""
    if amount_minor == 0:
        return None
    limits = limits_of(currency, gateway)
    objection = limits.objection_to(amount_minor) if limits else Objection.CURRENCY
    if objection is None:
        return None
    return AmountRefusal(
        amount_minor=amount_minor, currency=currency, objection=objection, limits=limits
    )
