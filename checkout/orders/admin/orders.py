"""Orders for support: to be read, never edited. Payments add their part in payments/admin."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.postgres.expressions import ArraySubquery
from django.core.exceptions import PermissionDenied
from django.db.models import F, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince
from django.utils.translation import override

from checkout.catalogue.models import DiscountCode, StockMovement
from checkout.catalogue.money import money, show_money
from checkout.orders.admin.exports import export_lines, export_orders
from checkout.orders.admin.lists import COUNT_AT_MOST, ChoiceFilter, ReadOnlyAdmin, ReadOnlyInline
from checkout.orders.admin.returns import ReturnInline
from checkout.orders.admin.warehouse.parcels import ShipmentInline
from checkout.orders.attention.queries import (
    IsOneOf,
    open_reasons,
    open_rows,
    waiting_because_of,
    waiting_for_a_person,
)
from checkout.orders.attention.reasons import ENDED_BY
from checkout.orders.mail.address import has_address, one_spelling
from checkout.orders.models import CodeUse, Installation, Order, OrderEvent, OrderLine
from checkout.orders.models.name_search import NameWords, name_query
from checkout.orders.money.parts import parts_for_staff
from checkout.orders.numbers import parse_order_number
from checkout.orders.operations.shop_state import waiting_too_long
from checkout.orders.postal_address import billing_lines, postal_lines
from checkout.orders.states import LATE, OrderStatus
from checkout.quotes.rules import plain_percent
from checkout.runtime.clock import database_now

MAY_EXPORT = "orders.export_orders"


class OrderLineInline(ReadOnlyInline):
    model = OrderLine
    fields = ["sku", "name", "quantity", "line_total", "discount", "tax"]
    fields += ["shipped", "called_off", "returned", "put_back", "refunded"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("order")  # which has the currency

    @admin.display(description="Total")
    def line_total(self, line: OrderLine) -> str:
        return show_money(line.total)

    @admin.display(description="Discount")
    def discount(self, line: OrderLine) -> str:
        return show_money(money(line.discount_minor, line.order.currency))

    @admin.display(description="Tax")
    def tax(self, line: OrderLine) -> str:
        """Empty for a line of a release that worked out no tax."""
        if line.tax_percent is None:
            return ""
        amount = show_money(money(line.tax_minor, line.order.currency))
        return f"{amount} ({plain_percent(line.tax_percent)} %)"


def _paid_late() -> QuerySet[Order]:
    late = OrderEvent.objects.filter(to_status=OrderStatus.PAID, from_status__in=LATE)
    return Order.objects.filter(IsOneOf("pk", ArraySubquery(late.order_by().values("order"))))


class AttentionFilter(ChoiceFilter):
    """Each choice has an index of its own, for these orders are looked for at night."""

    title = "attention"
    parameter_name = "attention"
    choices_of_rows = [
        ("waiting", "Waiting too long", lambda: waiting_too_long(now=database_now())),
        ("person", "Needs a person", waiting_for_a_person),
        ("late", "Paid late", _paid_late),
    ]


class ReasonFilter(ChoiceFilter):
    title = "why a person must look"
    parameter_name = "reason"
    choices_of_rows = [(why, why, partial(waiting_because_of, why)) for why in ENDED_BY]


@admin.register(Installation)
class InstallationAdmin(ReadOnlyAdmin[Installation]):
    list_display = ["installation_id", "drawn_at"]
    fields = ["installation_id", "drawn_at"]


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin[Order]):
    list_display = [
        *("number", "status", "age", "shown_total", "repeats", "why_look", "email"),
        "placed_at",
    ]
    list_filter = [AttentionFilter, "status", ReasonFilter]
    search_fields = ["number"]
    search_help_text = (
        "Order number, e-mail address, name, discount code, reference or the gateway's id"
    )
    list_per_page = 50
    inlines = [OrderLineInline, ShipmentInline, ReturnInline]
    fieldsets = [
        (None, {"fields": ["number", "status", "age", "shown_total", "placed_at", "repeats"]}),
        ("Dispatch", {"fields": ["dispatch_status", "is_held"]}),
        ("Total", {"fields": ["shown_parts", "discount_code", "delivery_name"]}),
        ("Payment", {"fields": ["why_look", "shown_refunded", "expires_at", "invoices"]}),
        ("Customer", {"fields": ["email", "phone", "deliver_to", "bill_to", "vat_id"]}),
        ("References", {"fields": ["reference", "checkout_id", "payment_round", "sweep_at"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        of_each = Prefetch("attention", queryset=open_rows())
        return super().get_queryset(request).prefetch_related(of_each)

    @admin.display(description="A person must look")
    def why_look(self, order: Order) -> str:
        return " · ".join(one.reason for one in open_reasons(order))

    @admin.display(description="For")
    def age(self, order: Order) -> str:
        """How long it has had its status."""
        return timesince(order.status_changed_at, depth=1)

    @admin.display(description="Total")
    def shown_total(self, order: Order) -> str:
        return show_money(order.total)

    @admin.display(description="Made of")
    def shown_parts(self, order: Order) -> str:
        return _in_lines(parts_for_staff(order) or ["Goods alone"])

    @admin.display(description="Deliver to")
    def deliver_to(self, order: Order) -> str:
        with override("en"):  # the country's name, as all words of these pages
            return _in_lines(postal_lines(order))

    @admin.display(description="Bill to")
    def bill_to(self, order: Order) -> str:
        with override("en"):
            return _in_lines(billing_lines(order) or ["The same address"])

    @admin.display(description="Sent back")
    def shown_refunded(self, order: Order) -> str:
        return show_money(order.refunded)

    @admin.display(description="Invoices")
    def invoices(self, order: Order) -> SafeString:
        links = [
            (reverse("admin:orders_invoice_change", args=[pk]), number)
            for pk, number in order.invoices.values_list("pk", "number")
        ]
        return format_html_join(" · ", '<a href="{}">{}</a>', links)

    @admin.display(description="Sent again")
    def repeats(self, order: Order) -> str:
        return f"{order.resubmission_count} ×"

    def search(self, queryset: QuerySet[Order], term: str) -> QuerySet[Order]:
        """Support is told a whole number or address, in any spelling, or words of a name."""
        term = one_spelling(term)
        if number := parse_order_number(term):
            return queryset.filter(number=number)
        if "@" in term:
            return queryset.filter(has_address(term))
        found = self.orders_named(term) or [*_orders_with_code(term), *self._orders_of(term)]
        return queryset.filter(pk__in=found)

    def _orders_of(self, name: str) -> list[int]:
        """The newest orders of customers of that name. They are sorted by a term that is no column;
        PostgreSQL would otherwise walk through all orders, newest first, and look at each name."""
        query = name_query(name)
        if query is None:
            return []
        named = Order.objects.annotate(words=NameWords("full_name")).filter(words=query)
        newest = named.order_by((F("pk") + 0).desc())
        return list(newest.values_list("pk", flat=True)[:COUNT_AT_MOST])

    def orders_named(self, term: str) -> Iterable[int]:
        return list(Order.objects.filter(reference=term).values_list("pk", flat=True))

    def get_urls(self) -> list[URLPattern]:
        export = self.admin_site.admin_view(self.export_view)
        of_lines = self.admin_site.admin_view(self.export_lines_view)
        return [
            path("export/", export, name="orders_order_export"),
            path("export-lines/", of_lines, name="orders_order_export_lines"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        may_export = request.user.has_perm(MAY_EXPORT)
        query = request.GET.urlencode()
        return super().changelist_view(
            request, {"may_export": may_export, "export_query": query, **(extra_context or {})}
        )

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        return export_orders(self._to_export(request))

    def export_lines_view(self, request: HttpRequest) -> HttpResponseBase:
        return export_lines(self._to_export(request))

    def _to_export(self, request: HttpRequest) -> QuerySet[Order]:
        """All that the list finds, by the same search and filters."""
        if not (request.user.has_perm(MAY_EXPORT) and self.has_view_permission(request)):
            raise PermissionDenied
        found: QuerySet[Order] = self.get_changelist_instance(request).get_queryset(request)
        return found


def _orders_with_code(code: str) -> Iterable[int]:
    """Whatever became of them. Most terms are no code, so the rows of uses are not looked at."""
    known = DiscountCode.objects.filter(code=code.upper()).first()
    uses = CodeUse.objects.filter(code=known).order_by("-pk") if known else CodeUse.objects.none()
    return uses.values_list("order_id", flat=True)[:COUNT_AT_MOST]


def _in_lines(lines: list[str]) -> SafeString:
    return format_html_join(mark_safe("<br>"), "{}", ((line,) for line in lines))


@admin.register(StockMovement)
class StockMovementAdmin(ReadOnlyAdmin[StockMovement]):
    """This page is not with the products, because movements tell of orders."""

    list_display = ["created_at", "product", "change", "kind", "order", "actor", "explanation"]
    fields = ["created_at", "product", "change", "kind", "order", "actor", "explanation"]
    list_filter = ["kind"]
    list_select_related = ["product", "order"]
    search_fields = ["product__sku"]
    search_help_text = "SKU or order number, whole"
    ordering = ["-id"]
    list_per_page = 50

    def search(self, queryset: QuerySet[StockMovement], term: str) -> QuerySet[StockMovement]:
        term = one_spelling(term)
        if number := parse_order_number(term):
            return queryset.filter(order__number=number)
        return queryset.filter(product__sku=term.upper())
