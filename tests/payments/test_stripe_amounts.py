"""One amount, told in two units: exactly, both ways, or not at all."""

import pytest
from moneyed import get_currency

from checkout.catalogue.amounts import AmountLimits, Objection, limits_of
from payments.gateways.stripe import amounts
from payments.gateways.stripe.amounts import TAKEN, InexactAmount, from_stripe, limits, to_stripe
from payments.gateways.stripe.client import StripeGateway
from payments.sandbox import currencies as documented
from payments.sandbox.replies import RefusalError

# https://docs.stripe.com/currencies: main units of money, and what Stripe must be sent for them.
SENT = [
    ("EUR", "12.50", 1250),
    ("JPY", "500", 500),
    ("ISK", "5000", 500_000),
    ("UGX", "5", 500),
    ("MGA", "5000", 5000),
    ("KRW", "1300", 1300),
    ("CLP", "990", 990),
    ("KWD", "5.12", 5120),
    ("BHD", "1", 1000),
    ("HUF", "175", 17_500),
    ("TWD", "800.45", 80_045),
]


def minor(currency: str, amount: str) -> int:
    whole, _, cents = amount.partition(".")
    sub_unit = get_currency(currency).sub_unit
    digits = len(str(sub_unit)) - 1
    return int(whole) * sub_unit + int((cents + "000")[:digits] or 0)


@pytest.mark.parametrize(("currency", "amount", "sent"), SENT)
def test_amount_is_told_in_the_unit_of_stripe_and_back(
    currency: str, amount: str, sent: int
) -> None:
    amount_minor = minor(currency, amount)

    assert to_stripe(amount_minor, currency) == sent
    assert from_stripe(sent, currency) == amount_minor


@pytest.mark.parametrize(
    ("currency", "amount_minor"), [("KWD", 5124), ("MGA", 123_450), ("IQD", 1000), ("XAU", 1)]
)
def test_what_stripe_has_no_amount_for_is_not_rounded(currency: str, amount_minor: int) -> None:
    with pytest.raises(InexactAmount):
        to_stripe(amount_minor, currency)


def test_what_the_shop_has_no_coin_for_is_not_rounded() -> None:
    with pytest.raises(InexactAmount):
        from_stripe(550, "ISK")


def test_currency_of_a_stranger_is_told_as_it_is() -> None:
    assert from_stripe(700, "ZZZ") == 700


def test_charge_of_a_release_that_sent_another_unit_is_told_as_what_it_was() -> None:
    """ISK 5,000 that was sent as 5000 charged 50 krónur, and MGA 5,000 a hundred times as much."""
    assert from_stripe(5000, "ISK") == 50
    assert from_stripe(500_000, "MGA") == 100 * 500_000


@pytest.mark.parametrize("currency", sorted(TAKEN))
def test_limits_are_amounts_that_stripe_documents(currency: str) -> None:
    known = limits(currency)
    assert known is not None

    for amount_minor in (known.smallest_minor, known.largest_minor):
        assert known.objection_to(amount_minor) is None
        documented.refuse_amount(to_stripe(amount_minor, currency), currency.lower())
    assert known.smallest_minor % known.step_minor == known.largest_minor % known.step_minor == 0


@pytest.mark.parametrize("currency", sorted(TAKEN))
def test_beyond_the_limits_stripe_documents_a_refusal(currency: str) -> None:
    known = limits(currency)
    assert known is not None
    over = known.largest_minor + known.step_minor
    under = known.smallest_minor - known.step_minor

    with pytest.raises(RefusalError, match="amount_too_large"):
        documented.refuse_amount(to_stripe(over, currency), currency.lower())
    with pytest.raises(RefusalError, match="amount_too_small"):
        documented.refuse_amount(to_stripe(under, currency), currency.lower())
    assert known.objection_to(over) is Objection.TOO_LARGE
    assert known.objection_to(under) is Objection.TOO_SMALL


def test_web_processes_and_the_gateway_are_told_the_same() -> None:
    for currency in TAKEN:
        assert limits_of(currency) == StripeGateway.limits(currency)


def test_both_tables_name_the_same_currencies() -> None:
    assert {currency.upper() for currency in documented.KNOWN} == TAKEN


@pytest.mark.parametrize("currency", ["XAU", "XXX", "IQD", "CLF", "no currency"])
def test_currency_that_stripe_cannot_charge_has_no_limits(currency: str) -> None:
    assert amounts.limits(currency) is None


@pytest.mark.parametrize(
    ("amount_minor", "objection"),
    [
        (49, Objection.TOO_SMALL),
        (50, None),
        (55, Objection.NO_SUCH_STEP),
        (990, None),
        (1000, Objection.TOO_LARGE),
    ],
)
def test_limits_say_what_is_wrong_with_an_amount(
    amount_minor: int, objection: Objection | None
) -> None:
    known = AmountLimits(smallest_minor=50, largest_minor=990, step_minor=10)

    assert known.objection_to(amount_minor) is objection
