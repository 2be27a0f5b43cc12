"""Made-up card numbers in all the ways that people write them, and the numbers that addresses have.

Drawn from a seed, so that a failure can be drawn again.
"""

import random
from collections.abc import Callable, Sequence

# First digits and length, as the issuers give them out today. The test numbers of Stripe, Adyen and
# PayPal begin so too.
ISSUED = {
    "Visa": (["4"], [16, 16, 16, 19]),
    "Mastercard": (["51", "52", "53", "54", "55", "2221", "2300", "2720"], [16]),
    "American Express": (["34", "37"], [15]),
    "Discover": (["6011", "644", "649", "65"], [16, 16, 19]),
    "Diners Club": (["300", "305", "36", "38", "39"], [14]),
    "JCB": (["3528", "3566", "3589"], [16]),
    "UnionPay": (["62", "6221"], [16, 19]),
    "Maestro": (["5018", "5020", "5038", "6304", "6759", "6761", "6763"], [12, 16, 18, 19]),
}

GROUPINGS = {12: [4, 4, 4], 14: [4, 6, 4], 15: [4, 6, 5], 18: [4, 4, 4, 4, 2], 19: [4, 4, 4, 4, 3]}
FOURS = [4, 4, 4, 4]

FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def check_digit(digits: str) -> str:
    """By Luhn's rule, of the digits before it."""
    total = sum(
        int(digit) if place % 2 else sum(divmod(int(digit) * 2, 10))
        for place, digit in enumerate(reversed(digits))
    )
    return str(-total % 10)


def passes_luhn(digits: str) -> bool:
    return check_digit(digits[:-1]) == digits[-1]


def card(draw: random.Random) -> str:
    prefixes, lengths = ISSUED[draw.choice([*ISSUED])]
    digits = draw.choice(prefixes)
    digits += _digits(draw, draw.choice(lengths) - len(digits) - 1)
    return digits + check_digit(digits)


def _digits(draw: random.Random, count: int) -> str:
    return "".join(draw.choices("0123456789", k=count))


def cut(digits: str, sizes: Sequence[int]) -> list[str]:
    groups, begin = [], 0
    for size in sizes:
        groups.append(digits[begin : begin + size])
        begin += size
    return [*groups, digits[begin:]] if digits[begin:] else groups


def grouped(digits: str) -> list[str]:
    return cut(digits, GROUPINGS.get(len(digits), FOURS))


def in_size(digits: str, size: int) -> list[str]:
    return cut(digits, [size] * (len(digits) // size))


def joined_by(sign: str) -> Callable[[str], str]:
    return lambda digits: sign.join(grouped(digits))


WAYS: dict[str, Callable[[str], str]] = {
    "without a gap": str,
    "spaces": joined_by(" "),
    "two spaces": joined_by("  "),
    "dashes": joined_by("-"),
    "dashes with spaces": joined_by(" - "),
    "long dashes": joined_by("–"),
    "minus signs": joined_by("−"),
    "dots": joined_by("."),
    "middle dots": joined_by("·"),
    "commas": joined_by(", "),
    "slashes": joined_by("/"),
    "underscores": joined_by("_"),
    "stars": joined_by("*"),
    "bars": joined_by("|"),
    "tabs": joined_by("\t"),
    "lines": joined_by("\r\n"),
    "no-break spaces": joined_by("\N{NO-BREAK SPACE}"),
    "narrow spaces": joined_by("\N{NARROW NO-BREAK SPACE}"),
    "ideographic spaces": joined_by("\N{IDEOGRAPHIC SPACE}"),
    "zero-width spaces": joined_by("\N{ZERO WIDTH SPACE}"),
    "zero-width signs everywhere": lambda digits: "\N{WORD JOINER}".join(digits),
    "soft hyphens": joined_by("\N{SOFT HYPHEN}"),
    "full-width digits": lambda digits: digits.translate(FULL_WIDTH),
    "full-width digits with spaces": lambda digits: joined_by("　")(digits).translate(FULL_WIDTH),
    "Arabic digits": lambda digits: joined_by(" ")(digits).translate(ARABIC),
    "keycaps": lambda digits: "".join(f"{digit}\ufe0f\u20e3" for digit in digits),
    "each digit alone": " ".join,
    "pairs": lambda digits: " ".join(in_size(digits, 2)),
    "threes": lambda digits: " ".join(in_size(digits, 3 if len(digits) > 12 else 4)),
    "eights": lambda digits: " ".join(in_size(digits, 8) if len(digits) > 14 else grouped(digits)),
    "brackets": lambda digits: f"({')('.join(grouped(digits))})",
    "space and dash": lambda digits: joined_by(" ")(digits).replace(" ", " - ", 1),
}  # fmt: skip

# What stands around a card number in a field.
AROUND: list[Callable[[random.Random, str], str]] = [
    lambda draw, card: card,
    lambda draw, card: f"Inkwell Lane {draw.randint(1, 250)}, {card}",
    lambda draw, card: f"{draw.randint(1, 250)} {card}",
    lambda draw, card: f"Inkwell Lane {card} {draw.randint(1, 250)}",
    lambda draw, card: f"{card}, {draw.randint(1, 99)}{draw.choice('abc')}",
    lambda draw, card: f"{draw.randint(1000, 99999)} {card}",
    lambda draw, card: f"{card} {draw.randint(1000, 9999)} AB Amsterdam",
    lambda draw, card: f"D02 AF{draw.randint(10, 99)} {card}",
    lambda draw, card: f"Visa{card}please",
    lambda draw, card: f"my card:{card}.",
    lambda draw, card: f"{card} {draw.randint(10, 12)}/{draw.randint(26, 33)} {_digits(draw, 3)}",
    lambda draw, card: f"Packstation {draw.randint(101, 999)}: {card}",
    lambda draw, card: f"+{draw.randint(1, 99)} 151 2345678, {card}",
    lambda draw, card: f"{card}@example.com",
]  # fmt: skip


def text_with_card(draw: random.Random) -> tuple[str, str]:
    """The way in which it is written, and the text."""
    way = draw.choice([*WAYS])
    return way, draw.choice(AROUND)(draw, WAYS[way](card(draw)))


def post_number(draw: random.Random) -> str:
    return _digits(draw, draw.choice([6, 7, 8, 9, 10]))


def packstation(draw: random.Random) -> str:
    """Half of them, written side by side, have a card number's check digit."""
    locker, number = str(draw.randint(101, 999)), post_number(draw)
    if draw.random() < 0.5:
        number = number[:-1] + check_digit(locker + number[:-1])
    return draw.choice([f"Packstation {locker} {number}", f"{number} Packstation {locker}",
                        f"{locker} {number}", f"{number} {locker}",
                        f"Packstation {locker}, {' '.join(in_size(number, 3))}"])  # fmt: skip


def iban(draw: random.Random) -> str:
    country, size = draw.choice([("DE", 18), ("AT", 16), ("CH", 17), ("ES", 20), ("BE", 12)])
    account = _digits(draw, size)
    number = int(account + "".join(str(int(letter, 36)) for letter in country) + "00")
    whole = f"{country}{98 - number % 97:02d}{account}"
    return draw.choice([whole, " ".join(in_size(whole, 4)), f"IBAN {whole.lower()} Bank"])


def phone(draw: random.Random) -> str:
    area, number = draw.choice(["151", "664", "30", "79", "6"]), _digits(draw, 8)
    country = draw.choice(["49", "43", "41", "33", "44", "420"])
    return draw.choice([f"+{country}{area}{number}", f"+{country} {area} {number}",
                        f"+{country} {area} {' '.join(in_size(number, 2))}",
                        f"00{country}{area}{number}", f"0{area}/{number}",
                        f"(0{area}) {number[:4]} {number[4:]}",
                        f"0{area} {number}, 0{area} {_digits(draw, 8)}"])  # fmt: skip


def ean(draw: random.Random) -> str:
    digits = draw.choice(["40", "43", "50", "57", "64", "978"])
    digits += _digits(draw, 12 - len(digits))
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return f"EAN {digits}{-total % 10}"


def order_number(draw: random.Random) -> str:
    serial = draw.randint(100_001, 9_999_999_999)
    return f"Order {serial}-{98 - serial * 100 % 97:02d}"


def vat(draw: random.Random) -> str:
    return draw.choice([f"DE{_digits(draw, 9)}", f"ATU{_digits(draw, 8)}", f"FR{_digits(draw, 11)}",
                        f"NL{_digits(draw, 9)}B01", f"SE{_digits(draw, 12)}"])  # fmt: skip


def street(draw: random.Random) -> str:
    house = draw.randint(1, 9_999)
    postcode = _digits(draw, draw.choice([4, 5, 6]))
    return draw.choice([f"Inkwell Lane {house}", f"{house} {postcode} Cork",
                        f"{house}/{draw.randint(1, 40)}/{draw.randint(1, 99)}, {postcode}",
                        f"Flat {house}, {house + 2}-{house + 8} High Street, {postcode}",
                        f"{postcode} Cork, {house}"])  # fmt: skip


NO_CARDS = [packstation, packstation, iban, phone, ean, order_number, vat, street]


def text_without_card(draw: random.Random) -> tuple[str, str]:
    """What it is, and the text: one number of an address, or two."""
    kind = draw.choice(NO_CARDS)
    text = kind(draw)
    if draw.random() < 0.4:
        text = draw.choice([f"{street(draw)}, {text}", f"{text}, {street(draw)}"])
    return kind.__name__, text
