"""Looks for card numbers in what people typed and the database keeps: there should be none."""

from collections.abc import Iterator

from django.db import connection, transaction

from checkout.runtime.database import lift_time_limit
from checkout.user_input.card_numbers import has_card_number
from payments.books.audit import Finding

# Letters between two fields keep a number in one from being read together with the next.
TEXTS = """
    SELECT o.number,
           concat_ws(' x ', o.full_name, o.address, o.city, o.postcode, o.email, o.address2,
                     o.region, o.company, o.phone, o.vat_id, o.billing::text)
    FROM orders_order o
    UNION ALL
    SELECT o.number, concat_ws(' x ', e.reason, e.explanation)
    FROM orders_orderevent e JOIN orders_order o ON o.id = e.order_id
    UNION ALL
    SELECT o.number, r.reason
    FROM payments_refund r
    JOIN payments_payment p ON p.id = r.payment_id
    JOIN orders_order o ON o.id = p.order_id
"""

# The database sends only texts with enough digits, in any of the scripts that keyboards have.
MAY_HOLD_A_NUMBER = f"SELECT * FROM ({TEXTS}) AS typed(number, words) WHERE words ~ %s"  # noqa: S608 - our own statement
MAY_HOLD_ONE = r"([0-9٠-٩۰-۹０-９][^0-9٠-٩۰-۹０-９]*){12}"

AT_A_TIME = 1_000


def audit_card_numbers() -> Finding:
    """The recogniser is the same one that looks through what people type into forms."""
    numbers, checked = set(), 0
    for number, text in _texts():
        checked += 1
        if has_card_number(text):
            numbers.add(number)
    rows = [f"{number}: a text of it holds a card number" for number in sorted(numbers)]
    promise = "No text that somebody typed holds a card number"
    return Finding.of("I10", promise, rows, checked=checked)


def _texts() -> Iterator[tuple[str, str]]:
    with transaction.atomic():
        lift_time_limit()
        with connection.chunked_cursor() as cursor:
            cursor.execute(MAY_HOLD_A_NUMBER, (MAY_HOLD_ONE,))
            while some := cursor.fetchmany(AT_A_TIME):
                yield from some
