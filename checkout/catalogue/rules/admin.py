"""Tax rates, delivery methods with their prices, and discount codes, for staff.

Orders keep copies of what they were placed with, so that rates and methods may be changed and
deleted at any time. A code that orders have is not deleted, but turned off.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from checkout.catalogue.models import DeliveryMethod, DeliveryPrice, DiscountCode, TaxRate
from checkout.catalogue.rules.forms import (
    DeliveryMethodForm,
    DeliveryPriceForm,
    DiscountCodeForm,
    PriceTable,
    TaxRateForm,
)
from checkout.catalogue.rules.load_rates import lock_rates, rate_row
from checkout.catalogue.rules.measures import value_words
from checkout.catalogue.rules.tables import faults_of_rates
from checkout.quotes.rules import plain_percent
from checkout.user_input.countries import country_name

# Empty rows below a price table. More are added on the page, or after saving.
EMPTY_ROWS = 3


@admin.register(TaxRate)
class TaxRateAdmin(admin.ModelAdmin[TaxRate]):
    form = TaxRateForm
    fields = ["country", "region", "tax_class", "percent", "holds_from", "source"]
    list_display = ["country_name", "region", "tax_class", "percent", "holds_from", "source"]
    list_filter = ["tax_class", "country"]

    @admin.display(description="Country", ordering="country")
    def country_name(self, rate: TaxRate) -> str:
        return f"{country_name(rate.country)} ({rate.country})"

    def delete_model(self, request: HttpRequest, obj: TaxRate) -> None:
        lock_rates()
        super().delete_model(request, obj)
        self._warn_of_holes(request, {obj.country})

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[TaxRate]) -> None:
        of_countries = set(queryset.values_list("country", flat=True))
        super().delete_queryset(request, queryset)
        self._warn_of_holes(request, of_countries)

    def _warn_of_holes(self, request: HttpRequest, of_countries: Iterable[str]) -> None:
        left = TaxRate.objects.filter(country__in=of_countries)
        for fault in faults_of_rates([rate_row(rate) for rate in left]):
            self.message_user(request, fault, messages.WARNING)


class DeliveryPriceInline(admin.TabularInline[DeliveryPrice, DeliveryMethod]):
    model = DeliveryPrice
    form = DeliveryPriceForm
    formset = PriceTable  # type: ignore[assignment] # of the form above
    fields = ["country", "at_least", "below", "price_minor"]
    extra = EMPTY_ROWS
    verbose_name = "price"
    verbose_name_plural = (
        "Prices. “From” and “below” are the value of the goods after a discount or, where the "
        "method is priced by weight, their weight in grams. The first row of a country begins at "
        "0, each other one where the one before ends. Above a last row that has an end the method "
        "does not go there"
    )


@admin.register(DeliveryMethod)
class DeliveryMethodAdmin(admin.ModelAdmin[DeliveryMethod]):
    form = DeliveryMethodForm
    inlines = [DeliveryPriceInline]
    fields = [
        *("name", "duration", "is_on", "position", "is_priced_by_weight", "needs_phone"),
        *("tax_class", "tracking_address"),
    ]
    list_display = ["name", "is_on", "position", "measure", "rows", "needs_phone"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeliveryMethod]:
        return super().get_queryset(request).annotate(row_count=Count("prices"))

    @admin.display(description="Priced by", ordering="is_priced_by_weight")
    def measure(self, method: DeliveryMethod) -> str:
        return "weight" if method.is_priced_by_weight else "value"

    @admin.display(description="Prices", ordering="row_count")
    def rows(self, method: DeliveryMethod) -> str:
        return str(method.row_count) if method.row_count else "none: goes nowhere"  # type: ignore[attr-defined] # annotated

    def get_readonly_fields(self, request: HttpRequest, obj: DeliveryMethod | None = None) -> Any:
        """What a method is priced by is decided when it is made: the numbers of a table of weights
        mean something else as amounts."""
        return ["is_priced_by_weight"] if obj else []


@admin.register(DiscountCode)
class DiscountCodeAdmin(admin.ModelAdmin[DiscountCode]):
    form = DiscountCodeForm
    fields = [
        *("code", "kind", "percent", "amount_minor", "least_goods_minor"),
        *("starts_on", "ends_on", "limit", "per_customer", "is_on", "note"),
    ]
    list_display = ["code", "gives", "used", "limit", "ends_on", "is_on", "note"]
    list_filter = ["is_on", "kind", "ends_on"]
    search_fields = ["code__istartswith", "note"]
    show_full_result_count = False
    actions = ["turn_off"]

    @admin.display(description="Gives")
    def gives(self, code: DiscountCode) -> str:
        if code.percent is not None:
            return f"{plain_percent(code.percent)} %"
        return value_words(code.amount_minor) if code.amount_minor else "free delivery"

    @admin.display(description="Orders")
    def orders(self, code: DiscountCode) -> str:
        of_code = urlencode({"discount_code": code.code})
        address = f"{reverse('admin:orders_order_changelist')}?{of_code}"
        return format_html('<a href="{}">Orders with this code</a>', address)

    def get_fields(self, request: HttpRequest, obj: DiscountCode | None = None) -> Any:
        fields = [str(name) for name in self.fields or ()]
        return [*fields, *self._read_beside(request)] if obj else fields

    def get_readonly_fields(self, request: HttpRequest, obj: DiscountCode | None = None) -> Any:
        """A code that was given out keeps its name, by which customers and orders know it."""
        return ["code", *self._read_beside(request)] if obj else []

    def _read_beside(self, request: HttpRequest) -> list[str]:
        return ["used", "orders"] if request.user.has_perm("orders.view_order") else ["used"]

    def get_actions(self, request: HttpRequest) -> Any:
        """Codes are turned off together, and deleted one by one: see `get_deleted_objects`."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    @admin.action(description="Turn the chosen codes off", permissions=["change"])
    def turn_off(self, request: HttpRequest, queryset: QuerySet[DiscountCode]) -> None:
        count = queryset.filter(is_on=True).update(is_on=False)
        self.message_user(request, f"{count} codes were turned off.", messages.SUCCESS)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Locked where they are to be deleted, so that no order takes the code meanwhile."""
        rows = DiscountCode.objects.filter(pk__in=[each.pk for each in objs])
        rows = rows.select_for_update() if request.method == "POST" else rows
        codes = [row.code for row in rows]
        deleted, counts, missing, protected = super().get_deleted_objects(objs, request)
        if protected:
            protected = [f"{code}: orders have this code. Turn it off instead." for code in codes]
        return deleted, counts, missing, protected
