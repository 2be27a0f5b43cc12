"""Orders that this installation placed and its database has lost, until a person sees to them."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse

from checkout.catalogue.money import show_money
from checkout.orders.admin.lists import ChoiceFilter, ReadOnlyAdmin
from checkout.orders.admin.reason import ReasonForm, ReasonPage, person_who_may
from payments.books.lost_orders import seen_to
from payments.models import LostOrder

MAY_SEE_TO = "payments.see_to_lost_order"


class SeenToFilter(ChoiceFilter):
    title = "seen to"
    parameter_name = "seen"
    choices_of_rows = (
        ("no", "A person must look", lambda: LostOrder.objects.filter(seen_to_at=None)),
        ("yes", "Seen to", lambda: LostOrder.objects.exclude(seen_to_at=None)),
    )


@admin.register(LostOrder)
class LostOrderAdmin(ReadOnlyAdmin[LostOrder]):
    change_form_template = "payments/admin_lost_order.html"
    list_display = ["number", "reference", "gateway", "gateway_payment_id", "state", "shown_amount"]
    list_display += ["found_at", "seen_to_at", "seen_to_by"]
    list_filter = [SeenToFilter]

    @admin.display(description="Amount")
    def shown_amount(self, lost: LostOrder) -> str:
        return show_money(lost.amount) if lost.amount else ""

    def get_urls(self) -> list[URLPattern]:
        seen = self.admin_site.admin_view(self.seen_view)
        own = [path("<int:lost_id>/seen/", seen, name="payments_lostorder_seen")]
        return [*own, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        lost: LostOrder | None = kwargs.get("obj")
        may = request.user.has_perm(MAY_SEE_TO)
        context["can_see_to"] = bool(may and lost and lost.seen_to_at is None)
        return super().render_change_form(request, context, *args, **kwargs)

    def seen_view(self, request: HttpRequest, lost_id: int) -> HttpResponse:
        person_who_may(self, request, MAY_SEE_TO)
        lost = get_object_or_404(LostOrder, pk=lost_id)
        page = ReasonPage(
            title=f"Seen to: lost order {lost}",
            explains="Say what was done: refunded or cancelled at the gateway's own site, "
            "ordered anew with its customer, entered from another backup. Nothing is done at the "
            "gateway by this. The audit and the reconciliation name it no more, unless its payment "
            "changes.",
            label="It is seen to",
            back=reverse("admin:payments_lostorder_change", args=[lost.pk]),
            act=lambda why, by, now: (
                "Noted."
                if seen_to(lost, by=by, how=why, now=now)
                else "Somebody has noted it before; nothing was changed."
            ),
            is_possible=lost.seen_to_at is None,
        )
        return page.answer(self, request, ReasonForm(request.POST or None))
