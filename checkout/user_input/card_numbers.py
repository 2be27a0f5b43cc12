"""Finds card numbers in what people type, so that none is stored, shown again or logged.

A card number is a row of whole groups of digits, however they are set apart, which together have
the first digits and the length of an issuer, the right check digit, and sizes in which people write
cards. A house number, a postcode or a parcel locker beside it is another group. Where a text could
be a card or something else, docs/architecture.md says how it is read ("What is a card number").
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

# ISO/IEC 7812-1 allows up to nineteen digits; the shortest in use, Maestro's, have twelve.
FEWEST, MOST = 12, 19

# ITU-T E.164: the most digits that a telephone number has after its plus.
LONGEST_PHONE = 15

EAN_LENGTH = 13

# Characters without a width: format characters, and marks on the sign before them (Unicode, 4.5).
INVISIBLE = {"Cf", "Mn", "Me"}

# So many signs may stand between two groups of one number: "4242 - 4242", "4242, (4242)".
FARTHEST_APART = 5

# The first digits of issuers, by the length of their numbers. Visa has issued none of 13 digits for
# decades, and 4915 to 4917 begin German mobile numbers of that length. Maestro's short numbers are
# recognised by the banks that issued them; its whole range begins too many other numbers.
MAESTRO = r"5018|5020|5038|5893|6304|6759|676[1-3]"
LONG = rf"62|{MAESTRO}"
ISSUERS = {
    length: re.compile(pattern)
    for length, pattern in {
        12: MAESTRO,
        13: rf"4(?!91[567])|{MAESTRO}",
        14: rf"30[0-5]|309|36|38|39|{MAESTRO}",  # Diners Club
        15: rf"34|37|{MAESTRO}",  # American Express
        16: (
            r"[456]|2(?:20[0-4]|2[3-9]|22[1-9]|[3-6]|7[01]|720)"  # Visa, Mastercard, Discover, Mir
            r"|35(?:2[89]|[3-8])|30[0-5]|309|36|38|39|81|82|9792"  # JCB, Diners Club, RuPay, Troy
        ),
        17: LONG,
        18: LONG,
        19: r"4|6011|64[4-9]|65|62|81|35(?:2[89]|[3-8])|5[06-8]|6[37]",
    }.items()
}

# The groups of a number are written in fours, or as American Express and Diners Club have them,
# with two kinds of signs between them at most ("4242 4242 - 4242 4242"); and with one and the same
# sign in other equal groups, with what is left over at the end, or with some of the fours joined.
SIGNS_AT_MOST = 2
USUAL = re.compile(r"(?:4 ){2,4}[1-4]|4 6 [45]")
ALIKE = re.compile(
    r"(?:1 ){11,}1|(?:2 ){5,}[12]|(?:3 ){4,}[1-4]|5 5 [4-6]|5 5 5 [1-4]|6 6 [1-4]|8 [78]"
    r"|(?:[48] ){2,3}[1-8]|4 3 3 3|6 13"
)

# ISO 13616-1: the lengths of the IBANs of each country, as SWIFT's registry has them.
IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
IBAN_BEGINS = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}")
IBAN_SIGN = "(?:[ -]?[A-Za-z0-9])"


@dataclass(frozen=True)
class _Group:
    """Digits that stand side by side."""

    digits: str
    before: str  # what stands between the last group and this one
    begin: int  # where it stands in the text as it was typed
    end: int


def has_card_number(text: str) -> bool:
    return next(_card_numbers(text), None) is not None


def without_card_numbers(text: str) -> str:
    """The text without the card numbers in it."""
    kept, after = [], 0
    for begin, end in _card_numbers(text):
        kept.append(text[after:begin])
        after = end
    return "".join([*kept, text[after:]])


def _card_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Where each card number begins and ends."""
    if sum(map(str.isnumeric, text)) < FEWEST:
        return
    groups = _groups(text)
    first = 0
    while first < len(groups):
        if last := _last_of_card(groups, first):
            yield groups[first].begin, groups[last - 1].end
        first = last or first + 1


def _last_of_card(groups: list[_Group], first: int) -> int:
    """The index after the last group of a card number that begins with this group, or 0."""
    digits, sizes, signs = "", "", set()
    for number, group in enumerate(groups[first:], first):
        if number > first:
            if not _joins(group.before):
                return 0
            signs.add(group.before)
        digits += group.digits
        sizes += f" {len(group.digits)}" if sizes else str(len(group.digits))
        if len(digits) > MOST:
            return 0
        is_phone = groups[first].before.endswith("+") and len(digits) <= LONGEST_PHONE
        if not is_phone and _is_written_so(sizes, signs) and _is_card(digits):
            return number + 1
    return 0


def _joins(before: str) -> bool:
    """Whether this may stand between two groups of one number. A plus begins a telephone number."""
    is_near = len(before) <= FARTHEST_APART and not before.endswith("+")
    return is_near and not any(map(str.isalnum, before))


def _is_written_so(sizes: str, signs: set[str]) -> bool:
    if len(signs) > SIGNS_AT_MOST:
        return False
    if USUAL.fullmatch(sizes) or not signs:
        return True
    return len(signs) == 1 and ALIKE.fullmatch(sizes) is not None


def _is_card(digits: str) -> bool:
    issuer = ISSUERS.get(len(digits))
    if issuer is None or not issuer.match(digits) or _luhn(digits):
        return False
    return len(digits) != EAN_LENGTH or bool(_ean(digits))


def _luhn(digits: str) -> int:
    """The Luhn remainder: 0 when the check digit is right (ISO/IEC 7812-1, Annex B)."""
    backwards = [int(digit) for digit in reversed(digits)]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in backwards[1::2]]
    return (sum(backwards[::2]) + sum(doubled)) % 10


def _ean(digits: str) -> int:
    """An EAN's remainder: 0 when the check digit is right (GS1 General Specifications, 7.9)."""
    backwards = [int(digit) for digit in reversed(digits)]
    return (sum(backwards[::2]) + 3 * sum(backwards[1::2])) % 10


def _groups(text: str) -> list[_Group]:
    plain, places = _plain(text)
    ibans = list(_ibans(plain))
    groups, after = [], 0
    for found in re.finditer(r"[0-9]+", plain):
        if any(begin <= found.start() < end for begin, end in ibans):
            continue  # letters stand between, so the next group is far from the one before
        before = plain[after : found.start()]
        begin, end = places[found.start()], places[found.end() - 1] + 1
        groups.append(_Group(found[0], before, begin, end))
        after = found.end()
    return groups


def _plain(text: str) -> tuple[str, list[int]]:
    """The text with plain digits and without invisible characters, and where each was typed."""
    if text.isascii():
        return text, list(range(len(text)))
    signs: list[str] = []
    places: list[int] = []
    for place, typed in enumerate(text):
        for sign in unicodedata.normalize("NFKC", typed):
            if unicodedata.category(sign) not in INVISIBLE:
                signs.append(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign)
                places.append(place)
    return "".join(signs), places


def _ibans(plain: str) -> Iterator[tuple[int, int]]:
    for found in IBAN_BEGINS.finditer(plain):
        length = IBAN_LENGTHS.get(found[0][:2].upper())
        if length and (iban := re.compile(f"{IBAN_SIGN}{{{length}}}").match(plain, found.start())):
            signs = re.sub(r"[ -]", "", iban[0]).upper()
            if int("".join(str(int(sign, 36)) for sign in signs[4:] + signs[:4])) % 97 == 1:
                yield found.start(), iban.end()
