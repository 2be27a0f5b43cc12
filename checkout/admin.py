"""The API's clients and their requests, read-only. No page shows a token or its digest."""

from django.contrib import admin
from django.db.models import Q, QuerySet

from checkout.models import ApiClient, ApiRequest, ApiToken
from checkout.orders.admin.lists import ReadOnly, ReadOnlyAdmin
from checkout.orders.numbers import parse_order_number


@admin.register(ApiClient)
class ApiClientAdmin(ReadOnly, admin.ModelAdmin[ApiClient]):
    list_display = ["user", "accepts_any_total"]
    list_select_related = ["user"]
    search_fields = ["user__username"]
    fields = ["user", "accepts_any_total"]


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnly, admin.ModelAdmin[ApiToken]):
    list_display = ["id", "user", "scopes", "created", "expiry"]
    list_select_related = ["user"]
    search_fields = ["user__username"]
    fields = ["id", "user", "scopes", "created", "expiry"]


@admin.register(ApiRequest)
class ApiRequestAdmin(ReadOnlyAdmin[ApiRequest]):
    list_display = ["id", "client", "operation", "order", "status_code", "created_at"]
    list_select_related = ["client", "order"]
    search_fields = ["key"]
    search_help_text = "The whole idempotency key, or an order's number"
    fields = [
        *("id", "client", "key", "operation", "order", "status_code", "order_status"),
        "created_at",
    ]

    def search(self, queryset: QuerySet[ApiRequest], term: str) -> QuerySet[ApiRequest]:
        """Find exact matches only: staff who search were given the whole key or number."""
        number = parse_order_number(term) or ""
        return queryset.filter(Q(key=term) | Q(order__number=number))
