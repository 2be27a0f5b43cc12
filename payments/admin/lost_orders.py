"""Orders that this installation placed and its database has lost, until a person sees to them."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse

from checkout.catalogue.money import show_money
from checkout.orders.admin.lists import ChoiceFilter, ReadOnlyAdmin
from checkout.orders.admin.reason import ReasonForm, ReasonPage, person_who_may
from payments.books.lost_orders import agree_to_give_up, seen_to
from payments.models import LostOrder

MAY_SEE_TO = "payments.see_to_lost_order"
MAY_GIVE_UP = "payments.request_refund"


class SeenToFilter(ChoiceFilter):
    title = "seen to"
    parameter_name = "seen"
    choices_of_rows = (
        ("no", "A person must look", lambda: LostOrder.objects.filter(seen_to_at=None)),
        ("yes", "Seen to", lambda: LostOrder.objects.exclude(seen_to_at=None)),
    )


def _waits_for_agreement(lost: LostOrder) -> bool:
    return bool(lost.gateway_payment_id) and lost.seen_to_at is None and lost.agreed_at is None


@admin.register(LostOrder)
class LostOrderAdmin(ReadOnlyAdmin[LostOrder]):
    change_form_template = "payments/admin_lost_order.html"
    list_display = ["number", "reference", "gateway", "gateway_payment_id", "state", "shown_amount"]
    list_display += ["opened_at", "found_at", "agreed_by", "seen_to_at", "seen_to_by"]
    list_filter = [SeenToFilter]

    @admin.display(description="Amount")
    def shown_amount(self, lost: LostOrder) -> str:
        return show_money(lost.amount) if lost.amount else ""

    def get_urls(self) -> list[URLPattern]:
        seen = self.admin_site.admin_view(self.seen_view)
        give_up = self.admin_site.admin_view(self.give_up_view)
        own = [
            path("<int:lost_id>/seen/", seen, name="payments_lostorder_seen"),
            path("<int:lost_id>/give-up/", give_up, name="payments_lostorder_give_up"),
        ]
        return [*own, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        lost: LostOrder | None = kwargs.get("obj")
        may = request.user.has_perm(MAY_SEE_TO)
        context["can_see_to"] = bool(may and lost and lost.seen_to_at is None)
        may = request.user.has_perm(MAY_GIVE_UP)
        context["can_give_up"] = bool(may and lost and _waits_for_agreement(lost))
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

    def give_up_view(self, request: HttpRequest, lost_id: int) -> HttpResponse:
        person_who_may(self, request, MAY_GIVE_UP)
        lost = get_object_or_404(LostOrder, pk=lost_id)
        page = ReasonPage(
            title=f"Send the money back: lost order {lost}",
            explains="The worker asks the gateway about this payment. What was charged and not "
            "sent back yet is sent back, once, however often this is pressed; what is still open "
            "is closed, so that nobody is charged for it any more. Then the order counts as seen "
            "to. Agree only where nobody will deliver this order: look first whether another "
            "backup or a replica has it. If this database is a copy that runs beside its original, "
            "these orders are not lost, and nothing may be sent back.",
            label="Send the money back",
            back=reverse("admin:payments_lostorder_change", args=[lost.pk]),
            act=lambda why, by, now: (
                "The worker gives the payment up, as soon as payments are not paused."
                if agree_to_give_up(lost, by=by, why=why, now=now)
                else "Somebody has agreed or seen to it before; nothing was changed."
            ),
            is_possible=_waits_for_agreement(lost),
        )
        return page.answer(self, request, ReasonForm(request.POST or None))
