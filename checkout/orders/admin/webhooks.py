"""What the shop's other systems were told, and the way to tell them again."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse

from checkout.orders.admin.lists import ChoiceFilter, ReadOnlyAdmin
from checkout.orders.admin.reason import ReasonForm, ReasonPage, person_who_may
from checkout.orders.models import WebhookDelivery, WebhookEndpoint, open_deliveries
from checkout.orders.numbers import parse_order_number
from checkout.orders.operations.staff_actions import tell_again

MAY_RESEND = "orders.resend_webhook"

DELIVERIES = WebhookDelivery.objects


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin[WebhookEndpoint]):
    """Made and removed by `manage.py webhook_endpoints`. Their secrets are shown nowhere."""

    fields = ["url", "kinds", "is_active", "off_reason", "off_since"]
    fields += ["created_at", "rotated_at", "removed_at"]
    list_display = ["id", "host", "is_active", "off_reason", "created_at"]


class StateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    choices_of_rows = [
        ("undelivered", "Undelivered", lambda: DELIVERIES.filter(sent_at=None)),
        ("waiting", "Waits to be sent", open_deliveries),
        ("given-up", "Given up", lambda: DELIVERIES.filter(sent_at=None).exclude(gave_up_at=None)),
        ("delivered", "Delivered", lambda: DELIVERIES.exclude(sent_at=None)),
    ]


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin[WebhookDelivery]):
    change_form_template = "orders/admin_webhook_delivery.html"
    ordering = ["-id"]
    list_display = ["id", "order", "kind", "host", "wanted_since", "tries", "sent_at"]
    list_display += ["gave_up_at", "outcome", "last_took_ms"]
    list_filter = [StateFilter, "kind", "endpoint"]
    list_select_related = ["order", "endpoint"]
    search_fields = ["order__number"]
    search_help_text = "Order number, whole"
    list_per_page = 50
    fields = ["order", "endpoint", "kind", "status", "message_id", "wanted_since", "available_at"]
    fields += ["tries", "sent_at", "gave_up_at", "outcome", "last_took_ms"]

    @admin.display(description="To")
    def host(self, delivery: WebhookDelivery) -> str:
        return delivery.endpoint.host

    def search(self, queryset: QuerySet[WebhookDelivery], term: str) -> QuerySet[WebhookDelivery]:
        return queryset.filter(order__number=parse_order_number(term))

    def get_urls(self) -> list[URLPattern]:
        resend = self.admin_site.admin_view(self.resend_view)
        own = [path("<int:delivery_id>/resend/", resend, name="orders_webhookdelivery_resend")]
        return [*own, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["may_resend"] = request.user.has_perm(MAY_RESEND)
        return super().render_change_form(request, context, *args, **kwargs)

    def resend_view(self, request: HttpRequest, delivery_id: int) -> HttpResponse:
        person_who_may(self, request, MAY_RESEND)
        known = WebhookDelivery.objects.select_related("order", "endpoint")
        delivery = get_object_or_404(known, pk=delivery_id)
        page = ReasonPage(
            title=f"Send again: {delivery}, order {delivery.order.number}",
            explains="It goes out at once, with the same webhook-id and the same content as "
            "before: a system that has heard of it already can tell, and leaves it.",
            label="Send again",
            back=reverse("admin:orders_webhookdelivery_change", args=[delivery.pk]),
            act=partial(tell_again, delivery),
        )
        return page.answer(self, request, ReasonForm(request.POST or None))
