"""Invoices and credit notes, and the file of them for the books."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from checkout.catalogue.money import money, show_money
from checkout.catalogue.typed_amounts import decimal_sign, write_amount
from checkout.orders.admin.lists import ReadOnlyAdmin, in_chunks, streamed_csv
from checkout.orders.models import Invoice
from checkout.orders.numbers import parse_order_number

MAY_EXPORT = "orders.export_orders"

HEADER = ["number", "kind", "issued_on", "order", "corrects", "buyer", "country", "vat_id"]
HEADER += ["percent", "net", "tax", "gross", "currency"]


@admin.register(Invoice)
class InvoiceAdmin(ReadOnlyAdmin[Invoice]):
    change_list_template = "orders/admin_invoices.html"
    ordering = ["-id"]
    list_display = ["number", "kind", "issued_at", "order", "shown_total", "pages"]
    list_select_related = ["order"]
    search_fields = ["number"]
    search_help_text = "Number of the invoice or of the order, whole"
    list_per_page = 50
    fields = ["number", "kind", "issued_at", "order", "corrects", "shown_total", "pages"]

    @admin.display(description="Amount")
    def shown_total(self, invoice: Invoice) -> str:
        return show_money(money(invoice.total_minor, invoice.currency))

    @admin.display(description="As customers see it")
    def pages(self, invoice: Invoice) -> SafeString:
        names = [invoice.order.reference, invoice.number]
        return format_html(
            '<a href="{}">Page</a> · <a href="{}">PDF</a>',
            reverse("invoice", args=names),
            reverse("invoice_pdf", args=names),
        )

    def search(self, queryset: QuerySet[Invoice], term: str) -> QuerySet[Invoice]:
        if number := parse_order_number(term):
            return queryset.filter(order__number=number)
        return queryset.filter(number=term.upper())

    def get_urls(self) -> list[URLPattern]:
        export = self.admin_site.admin_view(self.export_view)
        return [path("export/", export, name="orders_invoice_export"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        own = {"may_export": request.user.has_perm(MAY_EXPORT)}
        return super().changelist_view(request, own | (extra_context or {}))

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """All of them, the newest first, with a row for each rate of tax."""
        if not (self.has_view_permission(request) and request.user.has_perm(MAY_EXPORT)):
            raise PermissionDenied
        invoices = in_chunks(Invoice.objects.all())
        rows = (row for invoice in invoices for row in _rows(invoice))
        return streamed_csv("invoices.csv", HEADER, rows, lambda row: row)


def _rows(invoice: Invoice) -> Iterator[list[object]]:
    """Amounts of a credit note are positive, as on the note; its kind says what they are."""
    content, currency = invoice.content, invoice.currency
    buyer = content["buyer"]
    common = [invoice.number, invoice.kind, content["issued_on"], content["order"]]
    common += [content["corrects"]["number"] if invoice.is_credit_note else ""]
    common += [buyer.get("company") or buyer.get("full_name", "")]
    common += [buyer.get("country", ""), buyer["vat_id"]]
    for tax in content["taxes"]:
        net, of_tax = tax["net_minor"], tax["tax_minor"]
        amounts = [write_amount(each, currency) for each in (net, of_tax, net + of_tax)]
        yield [*common, tax["percent"].replace(".", decimal_sign()), *amounts, currency]
    if not content["taxes"]:  # of a release before tax was worked out
        yield [*common, "", "", "", write_amount(invoice.total_minor, currency), currency]
