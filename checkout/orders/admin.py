"""Orders for support: to be read, never edited."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from checkout.catalogue.templatetags.money import show_money
from checkout.orders.models import Mail, Order, OrderEvent, OrderLine, OutboxMessage
from checkout.orders.numbers import parse_order_number


class ReadOnly:
    """History is written by the shop alone. Staff with the view permission may look."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyInline(ReadOnly, admin.TabularInline[Model, Order]):
    extra = 0
    can_delete = False
    show_change_link = False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [str(field) for field in self.fields or ()]


class OrderLineInline(ReadOnlyInline):
    model = OrderLine
    fields = ["sku", "name", "quantity", "line_total"]

    @admin.display(description="Total")
    def line_total(self, line: OrderLine) -> str:
        return show_money(line.total)


class OrderEventInline(ReadOnlyInline):
    model = OrderEvent
    fields = ["created_at", "kind", "from_status", "to_status", "reason"]
    verbose_name_plural = "What happened"


class OutboxMessageInline(ReadOnlyInline):
    model = OutboxMessage
    fields = ["kind", "generation", "available_at", "published_at", "trace_id"]
    verbose_name_plural = "Messages to the queue"


class MailInline(ReadOnlyInline):
    model = Mail
    fields = ["kind", "available_at", "tries", "sent_at", "gave_up_at"]
    verbose_name_plural = "E-mails"


@admin.register(Order)
class OrderAdmin(ReadOnly, admin.ModelAdmin[Order]):
    list_display = ["number", "status", "shown_total", "email", "repeats", "placed_at"]
    list_filter = ["status"]
    search_fields = ["number"]
    search_help_text = "Order number, e-mail address or reference"
    show_full_result_count = False
    inlines = [OrderLineInline, OrderEventInline, OutboxMessageInline, MailInline]
    fieldsets = [
        (None, {"fields": ["number", "status", "shown_total", "placed_at", "repeats"]}),
        ("Payment", {"fields": ["needs_person", "shown_refunded", "expires_at"]}),
        ("Customer", {"fields": ["full_name", "email", "address", "postcode", "city", "country"]}),
        ("References", {"fields": ["reference", "checkout_id", "payment_round", "sweep_at"]}),
    ]

    @admin.display(description="Total", ordering="total_minor")
    def shown_total(self, order: Order) -> str:
        return show_money(order.total)

    @admin.display(description="Sent back")
    def shown_refunded(self, order: Order) -> str:
        return show_money(order.refunded)

    @admin.display(description="Sent again", ordering="resubmission_count")
    def repeats(self, order: Order) -> str:
        return f"{order.resubmission_count} ×"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Order], search_term: str
    ) -> tuple[QuerySet[Order], bool]:
        """Exact matches only, each by an index: what support is told is a whole number or address,
        with or without the hyphen and in any case."""
        term = search_term.strip()
        if not term:
            return queryset, False
        number = parse_order_number(term) or term
        return queryset.filter(Q(number=number) | Q(reference=term) | Q(email__iexact=term)), False
