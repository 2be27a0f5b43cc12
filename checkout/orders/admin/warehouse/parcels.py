"""What was sent: the list of parcels, the parcels of an order, and taking one back."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse

from checkout.orders.admin.lists import ReadOnlyAdmin, ReadOnlyInline
from checkout.orders.admin.reason import ReasonForm, ReasonPage, person_who_may
from checkout.orders.admin.warehouse.permission import MAY_SHIP
from checkout.orders.dispatch.ship import UNDO_WITHIN, undo_shipment
from checkout.orders.dispatch.to_send import lines_to_send
from checkout.orders.models import Order, Shipment
from checkout.orders.models.dispatch import LONGEST_TRACKING_NUMBER
from checkout.orders.numbers import parse_order_number
from checkout.orders.states import SENDABLE
from checkout.runtime.clock import database_now

EXPLAINS = (
    "For a parcel that was marked as sent by mistake. Its pieces are to be sent again. If the "
    "e-mail about it has left already, its customer gets another that says so. This can be done "
    "for an hour."
)


@dataclass(frozen=True)
class ShownParcel:
    shipment: Shipment
    pieces: str
    can_be_undone: bool


def pieces_of(shipment: Shipment) -> str:
    """How many of each SKU are in the parcel."""
    return ", ".join(f"{each.quantity} × {each.line.sku}" for each in shipment.lines.all())


def parcels_of(order: Order, *, now: datetime) -> list[ShownParcel]:
    return [
        ShownParcel(each, pieces_of(each), can_be_undone(each, now=now))
        for each in order.shipments.prefetch_related("lines__line")
    ]


def can_be_undone(shipment: Shipment, *, now: datetime) -> bool:
    return shipment.undone_at is None and now - shipment.sent_at <= UNDO_WITHIN


def pages_of_the_warehouse(
    request: HttpRequest, order: Order
) -> list[tuple[str, str, list[object]]]:
    """What the order's page offers to whoever may send: label, page of the admin, arguments."""
    if not request.user.has_perm(MAY_SHIP):
        return []
    pages: list[tuple[str, str, list[object]]] = [
        (f"Take back {pieces_of(each.shipment)}", "orders_shipment_undo", [each.shipment.pk])
        for each in parcels_of(order, now=database_now())
        if each.can_be_undone
    ]
    if order.status in SENDABLE and not order.is_held and lines_to_send(order):
        pages.insert(0, ("Send a parcel", "orders_ordertosend_ship", [order.pk]))
    return pages


class ShipmentInline(ReadOnlyInline):
    """The parcels of an order, on its page."""

    model = Shipment
    verbose_name_plural = "parcels"
    fields = ["sent_at", "pieces", "method", "tracking_number", "sent_by", "undone_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("lines__line")

    @admin.display(description="Pieces")
    def pieces(self, shipment: Shipment) -> str:
        return pieces_of(shipment)


@admin.register(Shipment)
class ShipmentAdmin(ReadOnlyAdmin[Shipment]):
    list_display = ["sent_at", "order", "method", "tracking_number", "sent_by", "undone_at"]
    fields = ["order", "pieces", "method", "tracking_number", "tracking_link"]
    fields += ["sent_at", "sent_by", "undone_at"]
    list_select_related = ["order"]
    search_fields = ["order__number"]
    search_help_text = "Order number or tracking number, whole"
    ordering = ["-id"]
    list_per_page = 50
    change_form_template = "orders/admin_shipment.html"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [str(name) for name in self.fields or ()]

    @admin.display(description="Pieces")
    def pieces(self, shipment: Shipment) -> str:
        return pieces_of(shipment)

    def search(self, queryset: QuerySet[Shipment], term: str) -> QuerySet[Shipment]:
        if number := parse_order_number(term):
            found = queryset.filter(order__number=number)
            if found.exists():
                return found
        spellings = {term[:LONGEST_TRACKING_NUMBER], term.upper()[:LONGEST_TRACKING_NUMBER]}
        return queryset.exclude(tracking_number="").filter(tracking_number__in=sorted(spellings))

    def get_urls(self) -> list[URLPattern]:
        undo = self.admin_site.admin_view(self.undo_view)
        own = [path("<int:shipment_id>/undo/", undo, name="orders_shipment_undo")]
        return [*own, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        shipment: Shipment | None = kwargs.get("obj")
        context["may_undo"] = (
            shipment is not None
            and request.user.has_perm(MAY_SHIP)
            and can_be_undone(shipment, now=database_now())
        )
        return super().render_change_form(request, context, *args, **kwargs)

    def undo_view(self, request: HttpRequest, shipment_id: int) -> HttpResponse:
        person_who_may(self, request, MAY_SHIP)
        shipment = get_object_or_404(Shipment.objects.select_related("order"), pk=shipment_id)
        order = shipment.order
        page = ReasonPage(
            title=f"Take back {pieces_of(shipment)} of order {order.number}",
            explains=EXPLAINS,
            label="It was not sent",
            back=reverse("admin:orders_ordertosend_ship", args=[order.pk]),
            act=partial(_undo, shipment),
            is_possible=can_be_undone(shipment, now=database_now()),
        )
        return page.answer(self, request, ReasonForm(request.POST or None, order=order))


def _undo(shipment: Shipment, *, by: str, why: str, now: datetime) -> str:
    undo_shipment(shipment, by=by, why=why, now=now)
    return f"{pieces_of(shipment)} of order {shipment.order.number} are to be sent again."
