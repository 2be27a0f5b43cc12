"""What the admin's lists have in common: read-only, and as fast with a million rows as with ten."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, TypeVar

from django.conf import settings
from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.functional import cached_property
from django.utils.translation import get_language, override

from checkout.catalogue.typed_amounts import decimal_sign
from checkout.orders.mail.address import one_spelling
from checkout.orders.models import Order

# A list shows so many rows. Whoever needs older ones searches, filters or exports.
COUNT_AT_MOST = 2_000

EXPORT_CHUNK = 1_000


class ReadOnly:
    """History is written by the shop alone. Staff with the view permission may look."""

    def _nobody(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    has_add_permission = has_change_permission = has_delete_permission = _nobody

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """No address typed by hand filters by an amount: the columns hold minor units."""
        is_of_amount = "_minor" in lookup
        allowed: bool = super().lookup_allowed(lookup, value, request)  # type: ignore[misc] # ModelAdmin's
        return allowed and not is_of_amount


class ReadOnlyInline(ReadOnly, admin.TabularInline[Model, Order]):
    extra = 0
    can_delete = False
    show_change_link = False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [str(field) for field in self.fields or ()]


class ShortPaginator(Paginator[Any]):
    """Pages of the newest rows. COUNT(*) reads the whole table, so counting ends early."""

    @cached_property
    def count(self) -> int:
        newest: QuerySet[Any] = self.object_list[:COUNT_AT_MOST]  # type: ignore[assignment] # ours are always querysets
        return newest.count()


Row = TypeVar("Row", bound=Model)


class ReadOnlyAdmin(ReadOnly, admin.ModelAdmin[Row]):
    # Sorting by a column would read and sort all rows there are; the list's own order has an index.
    sortable_by = ()
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would be counted over all rows
    paginator = ShortPaginator

    class Media:
        css: ClassVar = {"all": ["orders/admin.css"]}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Row], search_term: str
    ) -> tuple[QuerySet[Row], bool]:
        is_empty = not one_spelling(search_term)
        return queryset if is_empty else self.search(queryset, search_term.strip()), False

    def search(self, queryset: QuerySet[Row], term: str) -> QuerySet[Row]:
        """Search by indexes alone, for the lists that have `search_fields`."""
        return queryset


class ChoiceFilter(admin.SimpleListFilter):
    """Each choice: its name in the address, its words, and the rows that it keeps."""

    choices_of_rows: Sequence[tuple[str, str, Callable[[], QuerySet[Any]]]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, words) for name, words, _ in self.choices_of_rows]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        kept = {name: rows for name, _, rows in self.choices_of_rows}.get(self.value() or "")
        return queryset & kept() if kept else queryset


class _Line:
    def write(self, text: str) -> str:
        return text


# A spreadsheet runs what begins like a formula (OWASP, "CSV Injection"), in full width too. It may
# end a cell at another sign than this file does, so what comes after such a sign counts too.
FORMULA = re.compile(r"(^|[,;|\t\r\n])(\s*)(?=[=+@＝＋＠－-])")

# Spreadsheets know by this that a file is in UTF-8; without it they break umlauts.
BYTE_ORDER_MARK = "\ufeff"


def harmless(cell: object) -> str:
    """Put an apostrophe before what looks like a formula, which makes it a text."""
    return FORMULA.sub(r"\1\2'", str(cell))


def in_chunks(rows: QuerySet[Any]) -> Iterator[Any]:
    """Read the rows newest first, a thousand at a time by their ids. No cursor is held open, so it
    works behind PgBouncer and holds no transaction while a slow browser takes its time."""
    rows = rows.order_by("-pk")
    chunk = list(rows[:EXPORT_CHUNK])
    while chunk:
        yield from chunk
        chunk = list(rows.filter(pk__lt=chunk[-1].pk)[:EXPORT_CHUNK])


def streamed_csv(
    filename: str, header: Iterable[str], rows: Iterator[Any], cells: Callable[[Any], Iterable[Any]]
) -> StreamingHttpResponse:
    """A file that spreadsheets read: cells end with a semicolon where decimals have a comma."""
    language = get_language() or settings.LANGUAGE_CODE
    writer = csv.writer(_Line(), delimiter=";" if decimal_sign() == "," else ",")

    def lines() -> Iterator[str]:
        yield BYTE_ORDER_MARK + writer.writerow(header)
        for row in rows:
            with override(language):  # a response is streamed after its request has ended
                line = writer.writerow([harmless(cell) for cell in cells(row)])
            yield line

    return StreamingHttpResponse(
        lines(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )
