"""Numbers and ids that were given out in the time which a restored backup does not have.

A sequence goes back with its database. Customers, the gateway, the queue and other systems have
seen what it gave out since, so it is moved past all of that, and never back.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import connection, transaction

from checkout.orders.invoices.issue import shop_day
from checkout.orders.models import InvoiceCounter, InvoiceGap
from checkout.orders.numbers import parse_order_number

# Beyond the greatest number that the gateway or the queue names. They know nothing of an order that
# costs nothing, or of those that were placed last; their customers have mails that name them.
ORDERS_UNHEARD_OF = 10_000

# No table has got so many rows since. Row ids stand in deduplication ids of the queue, in what
# other systems are told of parcels, in keys at the gateway, and in addresses of the admin.
ROWS_AT_MOST = 1_000_000

# A number that is further off was mistyped.
INVOICES_AT_MOST = 100_000

ORDER_NUMBERS = "orders_order_number_seq"
# Those of the shop's tables, and not those that a program beside the shop may have there.
ROW_IDS = """
    SELECT s.seqrelid::regclass::text
    FROM pg_sequence s JOIN pg_depend d ON d.objid = s.seqrelid AND d.deptype IN ('a', 'i')
    JOIN pg_class t ON t.oid = d.refobjid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
      AND t.relnamespace = current_schema()::regnamespace AND t.relname = ANY(%s)
    ORDER BY 1
"""


def move_row_ids() -> None:
    with connection.cursor() as cursor:
        cursor.execute(ROW_IDS, [connection.introspection.django_table_names(only_existing=True)])
        for (sequence,) in cursor.fetchall():
            cursor.execute(
                "SELECT setval(%(name)s, nextval(%(name)s) + %(rows)s)",
                {"name": sequence, "rows": ROWS_AT_MOST},
            )


def serial_of(number: str) -> int:
    """The part of an order's number that its sequence gave; 0 for what is no number."""
    parsed = parse_order_number(number)
    return int(parsed.partition("-")[0]) if parsed else 0


def last_order_given() -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT last_value FROM {ORDER_NUMBERS}")  # noqa: S608 - our own sequence
        return int(cursor.fetchone()[0])


def move_order_numbers(lost: Iterable[str], *, dry_run: bool = False) -> int | None:
    """Give out no number that a lost order has, or may have. The number that the sequence is moved
    to, or would be; None where it is past them all."""
    last = max(map(serial_of, lost), default=0)
    wanted = last + ORDERS_UNHEARD_OF
    if not last or last_order_given() >= wanted:
        return None
    if not dry_run:
        with connection.cursor() as cursor:
            # Orders are placed meanwhile: the sequence is never moved back.
            cursor.execute(
                "SELECT setval(%(name)s, greatest(%(wanted)s, nextval(%(name)s)))",
                {"name": ORDER_NUMBERS, "wanted": wanted},
            )
    return wanted


@dataclass(frozen=True, kw_only=True)
class InvoiceNumber:
    series: str
    year: int
    sequence: int  # 0: nobody has seen any of that year

    @classmethod
    def read(cls, written: str) -> Self | None:
        """`R-2026-000123`; None for what is no such number."""
        match = re.fullmatch(r"(.{1,10})-(\d{4})-(\d{1,9})", written.strip(), re.ASCII)
        return match and cls(series=match[1], year=int(match[2]), sequence=int(match[3]))

    def __str__(self) -> str:
        return f"{self.series}-{self.year}-{self.sequence:06}"


def last_invoices_here(*, since: datetime, now: datetime) -> list[InvoiceNumber]:
    """For each series and year in which a number may have been lost, the last one that is here."""
    if settings.SELLER is None:
        return []
    last = {
        (counter.series, counter.year): counter.last for counter in InvoiceCounter.objects.all()
    }
    years = range(shop_day(since).year, shop_day(now).year + 1)
    return [
        InvoiceNumber(series=series, year=year, sequence=last.get((series, year), 0))
        for year in years
        for series in sorted({settings.INVOICE_SERIES, settings.CREDIT_NOTE_SERIES})
    ]


def skip_invoices(seen: InvoiceNumber, *, by: str, now: datetime) -> InvoiceGap | None:
    """Give out no number up to the last one that somebody has seen. The gap that this leaves is
    written down; None where there is none."""
    if not seen.sequence:
        return None
    with transaction.atomic():
        InvoiceCounter.objects.get_or_create(
            series=seen.series, year=seen.year, defaults={"last": 0}
        )
        counters = InvoiceCounter.objects.select_for_update()
        counter = counters.get(series=seen.series, year=seen.year)
        if counter.last >= seen.sequence:
            return None
        gap = InvoiceGap.objects.create(
            series=seen.series,
            year=seen.year,
            first=counter.last + 1,
            last=seen.sequence,
            found_at=now,
            found_by=by,
        )
        counter.last = seen.sequence
        counter.save(update_fields=["last"])
    return gap
