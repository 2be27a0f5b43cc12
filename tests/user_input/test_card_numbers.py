"""Card numbers are found in whatever way they are written, and nothing else is taken for one."""

import random
from collections import Counter

import pytest

from checkout.user_input.card_numbers import has_card_number, without_card_numbers
from tests.user_input.generated import WAYS, passes_luhn, text_with_card, text_without_card

EACH = 5_000


def test_of_ten_thousand_texts_every_card_is_found_and_no_address_is_taken_for_one() -> None:
    draw = random.Random("card numbers")
    cards = [text_with_card(draw) for _ in range(EACH)]
    addresses = [text_without_card(draw) for _ in range(EACH)]

    kept = Counter(way for way, text in cards if not has_card_number(text))
    refused = Counter(kind for kind, text in addresses if has_card_number(text))

    assert {way for way, _ in cards} == {*WAYS}
    assert len(WAYS) >= 30
    print(f"{EACH} cards in {len(WAYS)} ways: {kept.total()} kept {dict(kept)}")
    print(f"{EACH} addresses: {refused.total()} refused {dict(refused)}")
    assert (kept, refused) == (Counter(), Counter())


def test_what_is_left_of_a_text_holds_no_card() -> None:
    draw = random.Random("what is left")

    for _ in range(500):
        _, text = text_with_card(draw)
        left = without_card_numbers(text)
        assert left != text
        assert not has_card_number(left)


def test_only_the_card_is_taken_out() -> None:
    assert without_card_numbers("Lane 12, 4242-4242-4242-4242 back door") == "Lane 12,  back door"
    assert without_card_numbers("４２４２ 4242 4242 4242 née Müller") == " née Müller"
    assert without_card_numbers("4242424242424242 5555555555554444") == " "


@pytest.mark.parametrize(
    "text",
    [
        "Packstation 145 1234567802",
        "Packstation 412 1234567890",
        "DE12 5001 0517 0648 4898 90",
        "Parcel locker 12345678901234567",
        "06 42 12 34 56 / 06 43 12 34 56",
        "560001 9845012345",  # a postcode of India and a telephone
        "Bestellung 4006381333931",  # an EAN
    ],
)
def test_numbers_of_everyday_are_kept(text: str) -> None:
    assert without_card_numbers(text) == text


# The test numbers that gateways publish.
@pytest.mark.parametrize(
    "number",
    [
        "4242424242424242",
        "4000056655665556",
        "5555555555554444",
        "2223003122003222",
        "5105105105105100",
        "378282246310005",
        "371449635398431",
        "6011111111111117",
        "3056930009020004",
        "36227206271667",
        "3566002020360505",
        "6200000000000005",
        "6205500000000000004",
        "4222222222222",
        "6759649826438453",
        "6799990100000000019",
        "5019717010103742",
        "2201382000000013",
    ],
)
def test_published_test_numbers_are_found(number: str) -> None:
    assert passes_luhn(number)
    assert has_card_number(f"12 {number} b")
    assert not has_card_number(f"12 {number[:-1]}{(int(number[-1]) + 1) % 10} b")
