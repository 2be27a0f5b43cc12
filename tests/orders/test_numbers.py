import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from checkout.orders.numbers import check_digits, parse_order_number

serials = st.integers(min_value=1, max_value=10**12)


def number_of(serial: int) -> str:
    return f"{serial}-{check_digits(serial)}"


@pytest.mark.django_db
def test_the_database_makes_the_numbers_that_are_read_here() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT orders_next_order_number() FROM generate_series(1, 50)")
        numbers = [number for (number,) in cursor.fetchall()]

    assert len(set(numbers)) == 50
    assert [parse_order_number(number) for number in numbers] == numbers


@given(serials)
def test_check_digits_follow_iso_7064_mod_97_10(serial: int) -> None:
    assert int(f"{serial}{check_digits(serial)}") % 97 == 1


@given(serials, st.data())
def test_one_wrong_digit_is_noticed(serial: int, data: st.DataObject) -> None:
    digits = list(number_of(serial).replace("-", ""))
    place = data.draw(st.integers(0, len(digits) - 1))
    wrong = data.draw(st.sampled_from([d for d in "0123456789" if d != digits[place]]))

    digits[place] = wrong

    assert parse_order_number("".join(digits)) is None


@given(serials, st.data())
def test_two_swapped_neighbours_are_noticed(serial: int, data: st.DataObject) -> None:
    digits = list(number_of(serial).replace("-", ""))
    place = data.draw(st.integers(0, len(digits) - 2))
    if digits[place] == digits[place + 1]:
        return

    digits[place], digits[place + 1] = digits[place + 1], digits[place]

    assert parse_order_number("".join(digits)) is None


@pytest.mark.parametrize("typed", ["100000-12", " 100000 - 12 ", "10000012", "100000–12"])
def test_numbers_are_read_as_people_type_them(typed: str) -> None:
    number = number_of(100000)

    assert parse_order_number(typed.replace("12", number[-2:])) == number


@pytest.mark.parametrize("typed", ["", "-", "abc", "1" * 40, "٣٣", "100000-00"])
def test_what_cannot_be_a_number_is_none(typed: str) -> None:
    assert parse_order_number(typed) is None
