"""Discount codes: what they take off, how that is spread, and when they do not count."""

from dataclasses import replace
from datetime import timedelta

from checkout.quotes.quote import Refusal
from tests.quotes.examples.table import (
    NO_TAX,
    TODAY,
    WITHOUT_TAX,
    Example,
    amount_code,
    flat,
    percent_code,
)

TEN_PERCENT = percent_code("10")

TAKEN_OFF = [
    Example(
        name="two percent for prompt payment",
        why="CDTFA publication 113: 100 less 2 %, and 8.25 % of 98 is 8.085, charged as 8.09",
        goods="100.00",
        prices=WITHOUT_TAX,
        rates="US-CA standard 8.25",
        to="US-CA",
        currency="USD",
        code=percent_code("2"),
        discounts="2.00",
        taxes="8.25 %: 98.00 + 8.09",
        total="106.09",
    ),
    Example(
        name="a dollar off a shop's own coupon",
        why="CDTFA publication 113: of 10 less 1 the taxable amount is 9; 9 × 7.25 % = 0.6525",
        goods="10.00",
        prices=WITHOUT_TAX,
        rates="US-CA standard 7.25",
        to="US-CA",
        currency="USD",
        code=amount_code(100),
        discounts="1.00",
        taxes="7.25 %: 9.00 + 0.65",
        total="9.65",
    ),
    Example(
        name="ten over three",
        why="WooCommerce, About coupons and taxes: 3.33, 3.33 and 3.34; here the first of equals "
        "has the cent. 50 × 19/119 = 7.983; 798 × 1666/5000 = 265.89, 798 × 1667/5000 = 266.05",
        goods="20.00, 20.00, 20.00",
        code=amount_code(1000),
        discounts="3.34 3.33 3.33",
        taxes="19 %: 42.02 + 7.98",
        tax_of_lines="2.66 2.66 2.66",
        total="50.00",
    ),
    Example(
        name="five cents at seventy to thirty",
        why="moneyphp, Allocation: 3.5 and 1.5 cents become 4 and 1",
        goods="0.70, 0.30",
        rates=NO_TAX,
        code=amount_code(5),
        discounts="0.04 0.01",
        total="0.95",
    ),
    Example(
        name="five cents at thirty to seventy",
        why="moneyphp, Allocation: the order is important, 1.5 and 3.5 become 2 and 3",
        goods="0.30, 0.70",
        rates=NO_TAX,
        code=amount_code(5),
        discounts="0.02 0.03",
        total="0.95",
    ),
    Example(
        name="the larger remainder and not the larger line",
        why="1.00 over 7.00, 2.00 and 2.03: 100 × 700/1103 = 63.46, × 200 = 18.13, × 203 = 18.40; "
        "63 + 18 + 18 = 99, and the unit that is left goes to .46",
        goods="7.00, 2.00, 2.03",
        rates=NO_TAX,
        code=amount_code(100),
        discounts="0.64 0.18 0.18",
        total="10.03",
    ),
    Example(
        name="ten percent of three rates",
        why="30.03 × 10 % = 3.003; 9.01 × 19/119 = 1.4386; 9.01 × 7/107 = 0.5894",
        goods="10.01, 10.01 reduced, 10.01 zero",
        code=TEN_PERCENT,
        discounts="1.00 1.00 1.00",
        taxes="19 %: 7.57 + 1.44, 7 %: 8.42 + 0.59",
        tax_of_lines="1.44 0.59 0",
        total="27.03",
    ),
    Example(
        name="a percentage of three decimals",
        why="99.99 × 12.345 % = 12.3437…; 87.65 × 19/119 = 13.9945",
        goods="99.99",
        code=percent_code("12.345"),
        discounts="12.34",
        taxes="19 %: 73.66 + 13.99",
        total="87.65",
    ),
    Example(
        name="half a cent of discount is rounded up",
        why="0.20 × 2.5 % = 0.005; 0.19 × 19/119 = 0.0303",
        goods="0.20",
        code=percent_code("2.5"),
        discounts="0.01",
        taxes="19 %: 0.16 + 0.03",
        total="0.19",
    ),
    Example(
        name="a gift has no discount",
        why="1.00 off 9.99 alone; 8.99 × 19/119 = 1.4353",
        goods="0.00, 9.99",
        code=amount_code(100),
        discounts="0 1.00",
        taxes="19 %: 7.55 + 1.44",
        tax_of_lines="0 1.44",
        total="8.99",
    ),
    Example(
        name="nothing off nothing",
        why="10 % of 0 is 0",
        goods="0.00",
        code=TEN_PERCENT,
        total="0",
    ),
    Example(
        name="all of it",
        why="100 % of 18.00, and nothing is left to be taxed",
        goods="12.34, 5.66 reduced",
        code=percent_code("100"),
        discounts="12.34 5.66",
        total="0",
    ),
    Example(
        name="all of it but the delivery",
        why="The discount is on goods: 4.90 is left; 4.90 × 19/119 = 0.7824",
        goods="12.34, 5.66",
        methods=[flat(490)],
        code=percent_code("100"),
        discounts="12.34 5.66",
        delivery="4.90",
        taxes="19 %: 4.12 + 0.78",
        tax_of_lines="0 0",
        total="4.90",
    ),
    Example(
        name="an amount larger than the goods",
        why="50.00 off 12.00 is 12.00, and nobody gets money back",
        goods="7.00, 5.00",
        code=amount_code(5000),
        discounts="7.00 5.00",
        total="0",
    ),
    Example(
        name="an amount larger than the goods does not pay for the delivery",
        why="12.00 − 12.00 + 4.90 + 4.90 × 19 % = 4.90 + 0.931",
        goods="7.00, 5.00",
        prices=WITHOUT_TAX,
        methods=[flat(490)],
        code=amount_code(5000),
        discounts="7.00 5.00",
        delivery="4.90",
        taxes="19 %: 4.90 + 0.93",
        tax_of_lines="0 0",
        total="5.83",
    ),
]

DAY = timedelta(days=1)


def _counts(name: str, why: str, **what: object) -> Example:
    code = replace(TEN_PERCENT, **what)  # type: ignore[arg-type] # one field of it
    return Example(
        name=name,
        why=f"{why}: 10.00 − 1.00",
        goods="10.00",
        rates=NO_TAX,
        code=code,
        discounts="1.00",
        total="9.00",
    )


def _refused(name: str, why: str, refused: Refusal, **what: object) -> Example:
    code = replace(TEN_PERCENT, **what)  # type: ignore[arg-type] # one field of it
    return Example(
        name=name,
        why=f"{why}: 10.00 as without it",
        goods="10.00",
        rates=NO_TAX,
        code=code,
        total="10.00",
        refused=refused,
    )


WHETHER_IT_COUNTS = [
    _counts("its first day", "It holds from today on", starts_on=TODAY),
    _counts("its last day", "It holds until today", ends_on=TODAY),
    _counts("the least value exactly", "10.00 is not less than 10.00", least_goods_minor=1000),
    _counts("the last use", "One is left", uses_left=1, customer_uses_left=1),
    _refused("not yet", "It begins tomorrow", Refusal.CODE_NOT_YET, starts_on=TODAY + DAY),
    _refused("ended", "It ended yesterday", Refusal.CODE_ENDED, ends_on=TODAY - DAY),
    _refused("used up", "None is left", Refusal.CODE_USED_UP, uses_left=0),
    _refused(
        "used by this customer",
        "None of theirs is left",
        Refusal.CODE_USED_BY_CUSTOMER,
        customer_uses_left=0,
    ),
    _refused(
        "a cent too little",
        "10.00 is less than 10.01",
        Refusal.CODE_NEEDS_MORE_GOODS,
        least_goods_minor=1001,
    ),
    _refused("switched off", "Staff took it back", Refusal.CODE_UNKNOWN, is_on=False),
    Example(
        name="typed in small letters",
        why="Codes are told apart without regard to capitals: 10.00 − 1.00",
        goods="10.00",
        rates=NO_TAX,
        code=TEN_PERCENT,
        typed="cOdE",
        discounts="1.00",
        total="9.00",
    ),
    Example(
        name="a code that nobody made",
        why="10.00 as without it",
        goods="10.00",
        rates=NO_TAX,
        typed="GUESS",
        total="10.00",
        refused=Refusal.CODE_UNKNOWN,
    ),
]

EXAMPLES = TAKEN_OFF + WHETHER_IT_COUNTS
