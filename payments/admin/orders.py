"""The page of one order: what happened, and what may be done about it."""

from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.translation import override

from checkout.catalogue.money import show_money
from checkout.orders.admin.orders import OrderAdmin
from checkout.orders.admin.reason import ReasonPage, person_who_may
from checkout.orders.admin.warehouse.parcels import pages_of_the_warehouse
from checkout.orders.attention.queries import open_reasons
from checkout.orders.models import Order
from checkout.orders.money.facts import facts_about
from checkout.orders.money.words import money_sentence
from payments.admin.actions import ACTIONS
from payments.admin.order_story import story
from payments.admin.payments import MAY_REFUND, PaymentInline
from payments.admin.withdrawals import MAY_DECIDE, OPEN
from payments.models import Payment, Refund
from payments.states import PaymentStatus, RefundStatus


class OrderWithPayments(OrderAdmin):
    change_form_template = "payments/admin_order.html"
    change_list_template = "payments/admin_orders.html"
    inlines = [*OrderAdmin.inlines, PaymentInline]

    class Media:
        css: ClassVar = {"all": ["payments/admin.css"]}

    def orders_named(self, term: str) -> Iterable[int]:
        """Finds orders by their reference, or by the gateway's id of a payment or a refund."""
        payments = Payment.objects.filter(gateway_payment_id=term)
        refunds = Refund.objects.filter(gateway_refund_id=term)
        return [
            *super().orders_named(term),
            *payments.values_list("order_id", flat=True),
            *refunds.values_list("payment__order_id", flat=True),
        ]

    def get_urls(self) -> list[URLPattern]:
        act = self.admin_site.admin_view(self.act_view)
        own = path("<int:order_id>/<slug:name>/", act, name="orders_order_act")
        # Ours comes after Django's own, so that an action cannot hide one of its pages.
        *rest, catch_all = super().get_urls()
        return [*rest, own, catch_all]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        order: Order | None = kwargs.get("obj")
        if order is not None:
            context["story"] = story(order)
            with override("en"):  # as all of these pages
                context["told_of_money"] = money_sentence(facts_about(order), order.currency)
            context["open_reasons"] = open_reasons(order)
            context["staff_actions"] = self._possible(request, order)
        return super().render_change_form(request, context, *args, **kwargs)

    def _possible(self, request: HttpRequest, order: Order) -> list[dict[str, str]]:
        """What this person may do to this order, with the address of the page that asks."""
        pages: list[tuple[str, str, list[object]]] = [
            (action.label, "orders_order_act", [order.pk, action.name])
            for action in ACTIONS.values()
            if request.user.has_perm(action.permission) and action.is_possible(order)
        ]
        if request.user.has_perm(MAY_DECIDE):
            stated = order.withdrawals.filter(status=OPEN)
            pages += [
                ("Decide about the withdrawal", "orders_withdrawal_decide", [each.pk])
                for each in stated
            ]
        pages += pages_of_the_warehouse(request, order)
        if request.user.has_perm(MAY_REFUND):
            charged = list(order.payments.filter(status=PaymentStatus.PAID).order_by("id"))
            set_aside = order.payments.filter(status=PaymentStatus.AUTHORISED)
            pages += [
                (
                    f"Take off what is not sent (payment {each.round})",
                    "payments_payment_refund_lines",
                    [each.pk],
                )
                for each in set_aside
            ]
            pages += [
                (
                    f"Send the price of pieces back (payment {each.round})",
                    "payments_payment_refund_lines",
                    [each.pk],
                )
                for each in charged
                if not each.is_surplus
            ]
            pages += [
                (f"Send money back (payment {each.round})", "payments_payment_refund", [each.pk])
                for each in charged
            ]
            prepared = Refund.objects.filter(
                payment__order=order, status=RefundStatus.PREPARED
            ).select_related("payment")
            pages += [
                (
                    f"Agree to send {show_money(each.amount)} back",
                    "payments_refund_agree",
                    [each.pk],
                )
                for each in prepared
            ]
        return [
            {"label": label, "url": reverse(f"admin:{page}", args=args)}
            for label, page, args in pages
        ]

    def act_view(self, request: HttpRequest, order_id: int, name: str) -> HttpResponse:
        action = ACTIONS.get(name)
        if action is None:
            raise Http404
        person_who_may(self, request, action.permission)
        order = get_object_or_404(Order, pk=order_id)
        page = ReasonPage(
            title=f"{action.label}: order {order.number}",
            explains=f"{action.explains} {action.tells(order)}".strip(),
            label=action.label,
            back=reverse("admin:orders_order_change", args=[order.pk]),
            act=partial(action.act, order),
            is_possible=action.is_possible(order),
        )
        return page.answer(self, request, action.form(request.POST or None, order=order))


# Payments know orders and not the other way round, so their part of the page is added here.
admin.site.unregister(Order)
admin.site.register(Order, OrderWithPayments)
