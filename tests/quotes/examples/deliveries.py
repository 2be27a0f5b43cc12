"""Delivery: its price, its tax, and where nothing is delivered."""

from checkout.quotes.quote import Refusal
from checkout.quotes.rules import DeliveryMethod, DeliveryPrice, TaxClass
from tests.quotes.examples.table import (
    FREE_DELIVERY,
    NO_TAX,
    WITHOUT_TAX,
    Example,
    flat,
    percent_code,
)

POST = flat(490)

FREE_FROM_50 = DeliveryMethod(
    id="post",
    name="Post",
    prices=(
        DeliveryPrice(country="", below=5000, price_minor=490),
        DeliveryPrice(country="", at_least=5000, price_minor=0),
    ),
)

BY_WEIGHT = DeliveryMethod(
    id="parcel",
    name="Parcel",
    is_priced_by_weight=True,
    prices=(
        DeliveryPrice(country="", below=2000, price_minor=490),
        DeliveryPrice(country="", at_least=2000, below=31_500, price_minor=990),
    ),
)

TO_IRELAND_AND_ELSEWHERE = DeliveryMethod(
    id="post",
    name="Post",
    prices=(
        DeliveryPrice(country="IE", below=10_000, price_minor=990),
        DeliveryPrice(country="", price_minor=1490),
    ),
)

EXPRESS = DeliveryMethod(
    id="express", name="Express", prices=(DeliveryPrice(country="DE", price_minor=1290),)
)

FREE_FROM_5000_YEN = DeliveryMethod(
    id="post",
    name="Post",
    prices=(
        DeliveryPrice(country="JP", below=5000, price_minor=500),
        DeliveryPrice(country="JP", at_least=5000, price_minor=0),
    ),
)

OF_GOODS_AND_PLACE = [
    Example(
        name="one price for everywhere",
        why="24.90 × 19/119 = 3.9756; 398 × 2000/2490 = 319.68 and 78.32, "
        "so the unit that is left is the line's",
        goods="20.00",
        methods=[POST],
        delivery="4.90",
        taxes="19 %: 20.92 + 3.98",
        tax_of_lines="3.20",
        total="24.90",
    ),
    Example(
        name="food is not taxed and its delivery is",
        why="HMRC notice 700/24: 6 for delivering zero-rated food is 5 plus tax at 20 %",
        goods="30.00 zero",
        rates="GB standard 20, GB zero 0",
        to="GB",
        currency="GBP",
        methods=[flat(600)],
        delivery="6.00",
        taxes="20 %: 5.00 + 1.00",
        tax_of_lines="0",
        total="36.00",
    ),
    Example(
        name="delivery of a lower class than the goods",
        why="11.90 × 19/119 = 1.90; 5.35 × 7/107 = 0.35",
        goods="11.90",
        methods=[flat(535, TaxClass.REDUCED)],
        delivery="5.35",
        taxes="19 %: 10.00 + 1.90, 7 %: 5.00 + 0.35",
        tax_of_lines="1.90",
        total="17.25",
    ),
    Example(
        name="delivery is taxed together with the goods of its rate",
        why="15.00 × 19 % = 2.85, of which 10/15 are the line's; 10.00 × 7 % = 0.70",
        goods="10.00, 10.00 reduced, 10.00 zero",
        prices=WITHOUT_TAX,
        methods=[flat(500)],
        delivery="5.00",
        taxes="19 %: 15.00 + 2.85, 7 %: 10.00 + 0.70",
        tax_of_lines="1.90 0.70 0",
        total="38.55",
    ),
    Example(
        name="a cent below the value from which it is free",
        why="49.99 + 4.90 = 54.89; × 19/119 = 8.7639",
        goods="49.99",
        methods=[FREE_FROM_50],
        delivery="4.90",
        taxes="19 %: 46.13 + 8.76",
        total="54.89",
    ),
    Example(
        name="the value from which it is free",
        why="50.00 + 0; × 19/119 = 7.9831",
        goods="50.00",
        methods=[FREE_FROM_50],
        taxes="19 %: 42.02 + 7.98",
        total="50.00",
    ),
    Example(
        name="the value after the discount counts",
        why="55.00 − 5.50 = 49.50, which is not 50.00; 54.40 × 19/119 = 8.6857",
        goods="55.00",
        methods=[FREE_FROM_50],
        code=percent_code("10"),
        discounts="5.50",
        delivery="4.90",
        taxes="19 %: 45.71 + 8.69",
        total="54.40",
    ),
    Example(
        name="free by a code",
        why="20.00 + 0; × 19/119 = 3.1933",
        goods="20.00",
        methods=[POST],
        code=FREE_DELIVERY,
        taxes="19 %: 16.81 + 3.19",
        total="20.00",
    ),
    Example(
        name="the value of vouchers does not make delivery free",
        why="10.00 of 60.00 are delivered, which is below 50.00",
        goods="50.00 voucher, 10.00",
        rates=NO_TAX,
        methods=[FREE_FROM_50],
        delivery="4.90",
        total="64.90",
    ),
    Example(
        name="a voucher alone is not delivered",
        why="25.00 and no delivery, although every delivery costs",
        goods="25.00 voucher",
        rates=NO_TAX,
        methods=[POST],
        total="25.00",
    ),
    Example(
        name="a voucher goes where nothing is delivered",
        why="25.00, and no refusal",
        goods="25.00 voucher",
        rates=NO_TAX,
        methods=[EXPRESS],
        to="AQ",
        total="25.00",
    ),
    Example(
        name="the lighter of two weights",
        why="2 × 900 g = 1,800 g, which is below 2,000 g",
        goods="2 × 10.00 900g",
        rates=NO_TAX,
        methods=[BY_WEIGHT],
        delivery="4.90",
        total="24.90",
    ),
    Example(
        name="the heavier of two weights, exactly",
        why="2 × 900 g + 200 g = 2,000 g, which is from 2,000 g on",
        goods="2 × 10.00 900g, 1.00 200g",
        rates=NO_TAX,
        methods=[BY_WEIGHT],
        delivery="9.90",
        total="30.90",
    ),
    Example(
        name="too heavy",
        why="3 × 10,500 g = 31,500 g, which is not below 31,500 g",
        goods="3 × 10.00 10500g",
        rates=NO_TAX,
        methods=[BY_WEIGHT],
        total="30.00",
        refused=Refusal.NOT_DELIVERED_THERE,
    ),
    Example(
        name="a country with a price of its own",
        why="20.00 + 9.90",
        goods="20.00",
        rates=NO_TAX,
        to="IE",
        methods=[TO_IRELAND_AND_ELSEWHERE],
        delivery="9.90",
        total="29.90",
    ),
    Example(
        name="a country without a price of its own",
        why="20.00 + 14.90",
        goods="20.00",
        rates=NO_TAX,
        to="FR",
        methods=[TO_IRELAND_AND_ELSEWHERE],
        delivery="14.90",
        total="34.90",
    ),
    Example(
        name="a country's own prices end where they end",
        why="To Ireland only goods below 100.00 are sent; the price of elsewhere is not Ireland's",
        goods="100.00",
        rates=NO_TAX,
        to="IE",
        methods=[TO_IRELAND_AND_ELSEWHERE],
        total="100.00",
        refused=Refusal.NOT_DELIVERED_THERE,
    ),
    Example(
        name="yen, below the value from which it is free",
        why="4,980 + 500 = 5,480; × 10/110 = 498.18",
        goods="4980",
        rates="JP standard 10",
        to="JP",
        currency="JPY",
        methods=[FREE_FROM_5000_YEN],
        delivery="500",
        taxes="10 %: 4982 + 498",
        total="5480",
    ),
]

OF_CHOICE = [
    Example(
        name="the first method where none is chosen",
        why="20.00 + 4.90",
        goods="20.00",
        rates=NO_TAX,
        methods=[POST, EXPRESS],
        delivery="4.90",
        total="24.90",
    ),
    Example(
        name="the method that is chosen",
        why="20.00 + 12.90",
        goods="20.00",
        rates=NO_TAX,
        methods=[POST, EXPRESS],
        method="express",
        delivery="12.90",
        total="32.90",
    ),
    Example(
        name="a method that does not go there",
        why="Express is for Germany; the first is shown in its stead: 20.00 + 4.90",
        goods="20.00",
        rates=NO_TAX,
        to="IE",
        methods=[POST, EXPRESS],
        method="express",
        delivery="4.90",
        total="24.90",
        refused=Refusal.METHOD_NOT_OFFERED,
    ),
    Example(
        name="a shop that never entered a method",
        why="It delivers everywhere for nothing",
        goods="20.00",
        rates=NO_TAX,
        to="AQ",
        total="20.00",
    ),
    Example(
        name="a shop whose methods are all off",
        why="20.00, and it goes nowhere",
        goods="20.00",
        rates=NO_TAX,
        methods=None,
        total="20.00",
        refused=Refusal.NOT_DELIVERED_THERE,
    ),
]

EXAMPLES = OF_GOODS_AND_PLACE + OF_CHOICE
