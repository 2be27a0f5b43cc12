"""The page that marks many orders as sent by a file, as `manage.py import_shipments` does."""

import time
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from checkout.orders.admin.reason import StaffForm
from checkout.orders.dispatch.import_shipments import Done, Imported, counted, import_shipments
from checkout.orders.dispatch.tracking_file import TrackingRow, read_tracking_file
from checkout.user_input.table_file import MOST_BYTES, MOST_ROWS, BadFile

# A browser, or a proxy before the shop, waits for half a minute. The same file, given again, goes
# on where this ended.
AT_MOST_SECONDS = 15.0

# So many rows of each kind are shown; the command shows all.
SHOWN = 500


class TrackingFileForm(StaffForm):
    file = forms.FileField(
        label="CSV file",
        help_text=(
            f"Its first line names the columns number and tracking. At most {MOST_ROWS:,} rows and "
            f"{MOST_BYTES // 1_000_000} MB, in UTF-8."
        ),
    )
    dry_run = forms.BooleanField(
        label="Only show what would become of it", required=False, initial=False
    )

    def clean_file(self) -> list[TrackingRow]:
        file = self.cleaned_data["file"]
        try:
            return read_tracking_file(file.read(MOST_BYTES + 1))
        except BadFile as error:
            raise forms.ValidationError(f"Nothing was sent. {error}") from None


def answer_import_page(model_admin: admin.ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Ask for a file, or import it. Its answer is no redirect: the same file again is harmless."""
    is_post = request.method == "POST"
    form = TrackingFileForm(request.POST, request.FILES) if is_post else TrackingFileForm()
    context = {"title": "Import tracking numbers", "opts": model_admin.opts, "form": form}
    if is_post and form.is_valid():
        assert isinstance(request.user, User)  # noqa: S101 - for the type checker
        rows, by = form.cleaned_data["file"], request.user.get_username()
        results = _within_time(rows, by=by, dry_run=form.cleaned_data["dry_run"])
        context |= _told(rows, results)
    return TemplateResponse(
        request, "orders/admin_import.html", model_admin.admin_site.each_context(request) | context
    )


def _within_time(rows: list[TrackingRow], *, by: str, dry_run: bool) -> list[Imported]:
    until, results = time.monotonic() + AT_MOST_SECONDS, list[Imported]()
    for result in import_shipments(rows, by=by, dry_run=dry_run):
        results.append(result)
        if time.monotonic() > until:
            break
    return results


def _told(rows: list[TrackingRow], results: list[Imported]) -> dict[str, Any]:
    refused = [each for each in results if each.done is Done.REFUSED]
    others = [each for each in results if each.done is not Done.REFUSED]
    return {
        "counts": [(what, count) for what, count in counted(results).items() if count],
        "rows": [*refused[:SHOWN], *others[:SHOWN]],
        "not_shown": max(0, len(refused) - SHOWN) + max(0, len(others) - SHOWN),
        "refused": len(refused),
        "left": len(rows) - len(results),
    }
