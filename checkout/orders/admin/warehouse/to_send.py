"""The list of what is to be sent, the oldest first."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import override

from checkout.orders.admin.lists import COUNT_AT_MOST, ReadOnlyAdmin
from checkout.orders.admin.reason import person_who_may
from checkout.orders.admin.warehouse.import_page import answer_import_page
from checkout.orders.admin.warehouse.paper import (
    FIRST,
    MOST_ON_PAPER,
    answer_packing_slips,
    answer_pick_list,
)
from checkout.orders.admin.warehouse.permission import MAY_SHIP
from checkout.orders.admin.warehouse.ship_page import answer_ship_page
from checkout.orders.dispatch.to_send import orders_to_send
from checkout.orders.models import Order, OrderEvent, OrderToSend
from checkout.orders.numbers import parse_order_number
from checkout.orders.states import DispatchStatus, OrderStatus
from checkout.user_input.countries import country_name


class OfWhatIsToSend(admin.SimpleListFilter):
    """Chooses among the values of a column that the oldest orders to send have. What is to be sent
    is little, whatever was sold; of a shop that never sends anything, the oldest are read."""

    column: str

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        oldest = orders_to_send()[:COUNT_AT_MOST].values(self.column)
        found = {str(row[self.column]) for row in oldest}
        return sorted(((value, self.in_words(value)) for value in found), key=lambda pair: pair[1])

    def in_words(self, value: str) -> str:
        return value or "None"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        chosen = self.value()
        return queryset if chosen is None else queryset.filter(**{self.column: chosen})


class DeliveryFilter(OfWhatIsToSend):
    title = "delivery method"
    parameter_name = column = "delivery_name"


class CountryFilter(OfWhatIsToSend):
    title = "country"
    parameter_name = column = "country"

    def in_words(self, value: str) -> str:
        with override("en"):  # as all words of these pages
            return country_name(value)


def to_send_in_words() -> str:
    """How many orders are to be sent; counting ends early, as it does for every list here."""
    count = orders_to_send()[:COUNT_AT_MOST].count()
    at_least = "at least " if count == COUNT_AT_MOST else ""
    return f"{at_least}{count} order{'' if count == 1 else 's'}"


@admin.register(OrderToSend)
class ToSendAdmin(ReadOnlyAdmin[Order]):
    list_display = ["shown_number", "was_paid", "full_name", "country", "delivery"]
    list_display += ["pieces", "sent_before"]
    list_display_links = None
    list_filter = [DeliveryFilter, CountryFilter]
    search_fields = ["number"]
    search_help_text = "Order number, whole"
    change_list_template = "orders/admin_to_send.html"
    ordering = ["id"]
    list_per_page = 50
    actions = ["pick_list", "packing_slips"]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(MAY_SHIP)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_SHIP)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        paid = OrderEvent.objects.filter(to_status=OrderStatus.PAID).order_by("id")
        return orders_to_send().prefetch_related("lines", Prefetch("events", paid, "times_paid"))

    def search(self, queryset: QuerySet[Order], term: str) -> QuerySet[Order]:
        return queryset.filter(number=parse_order_number(term))

    @admin.display(description="Order")
    def shown_number(self, order: Order) -> SafeString:
        address = reverse("admin:orders_ordertosend_ship", args=[order.pk])
        return format_html('<a href="{}">{}</a>', address, order.number)

    @admin.display(description="Paid")
    def was_paid(self, order: Order) -> str:
        """How long ago it was paid."""
        paid: list[OrderEvent] = order.times_paid  # type: ignore[attr-defined] # prefetched
        since = timesince(paid[0].created_at if paid else order.status_changed_at, depth=1)
        return f"{since} ago"

    @admin.display(description="Delivery")
    def delivery(self, order: Order) -> str:
        return order.delivery_name or "-"

    @admin.display(description="Pieces")
    def pieces(self, order: Order) -> int:
        return sum(line.to_send for line in order.lines.all())

    @admin.display(description="Sent before")
    def sent_before(self, order: Order) -> str:
        return "A part" if order.dispatch_status == DispatchStatus.PARTLY_SENT else ""

    @admin.action(description="Pick list of the chosen orders")
    def pick_list(self, request: HttpRequest, chosen: QuerySet[Order]) -> HttpResponse | None:
        return self._on_paper(request, chosen, "admin:orders_ordertosend_pick_list")

    @admin.action(description="Packing slips of the chosen orders")
    def packing_slips(self, request: HttpRequest, chosen: QuerySet[Order]) -> HttpResponse | None:
        return self._on_paper(request, chosen, "admin:orders_ordertosend_packing_slips")

    def _on_paper(
        self, request: HttpRequest, chosen: QuerySet[Order], page: str
    ) -> HttpResponseRedirect | None:
        """The page has an address of its own, so that opening it again prints the same orders."""
        ids = list(chosen.values_list("pk", flat=True)[: MOST_ON_PAPER + 1])
        if len(ids) > MOST_ON_PAPER:
            told = f"At most {MOST_ON_PAPER} orders fit into one printing. Choose fewer."
            self.message_user(request, told, messages.ERROR)
            return None
        return redirect(f"{reverse(page)}?ids={','.join(map(str, ids))}")

    def get_urls(self) -> list[URLPattern]:
        """There is no page to change an order on: each row leads to the page that sends it."""
        view, name = self.admin_site.admin_view, "orders_ordertosend"
        return [
            path("", view(self.changelist_view), name=f"{name}_changelist"),
            path("pick-list/", view(self.pick_list_view), name=f"{name}_pick_list"),
            path("packing-slips/", view(self.packing_slips_view), name=f"{name}_packing_slips"),
            path("import/", view(self.import_view), name=f"{name}_import"),
            path("<int:order_id>/ship/", view(self.ship_view), name=f"{name}_ship"),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        words = {"title": "Orders to send", "first": FIRST}
        return super().changelist_view(request, words | (extra_context or {}))

    def pick_list_view(self, request: HttpRequest) -> HttpResponse:
        person_who_may(self, request, MAY_SHIP)
        return answer_pick_list(request)

    def packing_slips_view(self, request: HttpRequest) -> HttpResponse:
        person_who_may(self, request, MAY_SHIP)
        return answer_packing_slips(request)

    def import_view(self, request: HttpRequest) -> HttpResponse:
        person_who_may(self, request, MAY_SHIP)
        return answer_import_page(self, request)

    def ship_view(self, request: HttpRequest, order_id: int) -> HttpResponse:
        person_who_may(self, request, MAY_SHIP)
        return answer_ship_page(self, request, get_object_or_404(Order, pk=order_id))
