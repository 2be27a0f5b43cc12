"""Payments, shown on the page of their order and on their own; and the way to send money back."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from checkout.catalogue.money import minor_units, money
from checkout.catalogue.templatetags.money import show_money
from checkout.orders.admin import OrderAdmin, ReadOnly, ReadOnlyInline
from checkout.orders.models import Order
from payments.models import Payment, PaymentAttempt, Refund
from payments.refunds import (
    RefundImpossible,
    approve_refund,
    refundable_minor,
    request_refund,
)

MAY_REFUND = "payments.request_refund"


class PaymentInline(ReadOnlyInline):
    model = Payment
    fields = ["round", "status", "shown_amount", "payment_method"]
    fields += ["gateway_payment_id", "settled_at", "calls", "sent_back"]
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("attempts", "refunds")

    @admin.display(description="Amount")
    def shown_amount(self, payment: Payment) -> str:
        surplus = " (surplus)" if payment.is_surplus else ""
        return f"{show_money(payment.amount)}{surplus}"

    @admin.display(description="Calls to the gateway")
    def calls(self, payment: Payment) -> str:
        return " · ".join(str(attempt) for attempt in payment.attempts.all())

    @admin.display(description="Refunds")
    def sent_back(self, payment: Payment) -> str:
        return " · ".join(
            f"{show_money(refund.amount)} {refund.get_status_display().lower()}"
            for refund in payment.refunds.all()
        )


class NeedsPersonFilter(admin.SimpleListFilter):
    title = "needs a person"
    parameter_name = "needs_person"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        return queryset.exclude(needs_person="") if self.value() == "yes" else queryset


class OrderWithPayments(OrderAdmin):
    inlines = [*OrderAdmin.inlines, PaymentInline]
    list_filter = [*OrderAdmin.list_filter, NeedsPersonFilter]


# Payments know orders and not the other way round, so their part of the page is added from here.
admin.site.unregister(Order)
admin.site.register(Order, OrderWithPayments)


class PaymentAttemptInline(ReadOnlyInline):
    model = PaymentAttempt
    fields = ["started_at", "finished_at", "step", "outcome", "code"]


class RefundInline(ReadOnlyInline):
    model = Refund
    fields = ["created_at", "status", "shown_amount", "reason", "requested_by", "failure"]

    @admin.display(description="Amount")
    def shown_amount(self, refund: Refund) -> str:
        return show_money(refund.amount)


class RefundForm(forms.Form):
    amount = forms.DecimalField(min_value=0, help_text="Part of it, or all that is left.")
    reason = forms.CharField(max_length=200, help_text="For the order's history.")


@admin.register(Payment)
class PaymentAdmin(ReadOnly, admin.ModelAdmin[Payment]):
    change_form_template = "payments/admin_payment.html"
    list_display = ["order", "round", "status", "shown_amount", "decline_code", "created_at"]
    list_filter = ["status", "is_surplus"]
    list_select_related = ["order"]
    search_fields = ["=gateway_payment_id", "=order__number"]
    show_full_result_count = False
    inlines = [PaymentAttemptInline, RefundInline]

    @admin.display(description="Amount")
    def shown_amount(self, payment: Payment) -> str:
        return show_money(payment.amount)

    def get_urls(self) -> list[URLPattern]:
        refund = self.admin_site.admin_view(self.refund_view)
        own = [path("<int:payment_id>/refund/", refund, name="payments_payment_refund")]
        return [*own, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        payment: Payment | None = kwargs.get("obj")
        may_refund = request.user.has_perm(MAY_REFUND)
        context["can_refund"] = bool(may_refund and payment and refundable_minor(payment))
        return super().render_change_form(request, context, *args, **kwargs)

    def refund_view(self, request: HttpRequest, payment_id: int) -> HttpResponse:
        """Ask for a refund. The worker makes it; this page only writes it down."""
        if not isinstance(request.user, User) or not request.user.has_perm(MAY_REFUND):
            raise PermissionDenied
        payment = get_object_or_404(Payment.objects.select_related("order"), pk=payment_id)
        left = money(refundable_minor(payment), payment.currency)
        form = RefundForm(request.POST or None, initial={"amount": f"{left.amount:.2f}"})
        if request.method == "POST" and form.is_valid():
            try:
                refund = request_refund(
                    payment,
                    amount_minor=minor_units(form.cleaned_data["amount"], payment.currency),
                    reason=form.cleaned_data["reason"],
                    requested_by=request.user,
                    now=timezone.now(),
                )
            except (RefundImpossible, ValueError) as error:
                form.add_error("amount", str(error))
            else:
                told = f"{show_money(refund.amount)} will be sent back; the worker is on it."
                self.message_user(request, told, messages.SUCCESS)
                return redirect("admin:payments_payment_change", payment.pk)
        context = self.admin_site.each_context(request) | {
            "title": f"Refund of order {payment.order.number}",
            "payment": payment,
            "left": show_money(left),
            "form": form,
            "opts": self.opts,
        }
        return TemplateResponse(request, "payments/admin_refund.html", context)


@admin.register(Refund)
class RefundAdmin(ReadOnly, admin.ModelAdmin[Refund]):
    list_display = ["payment", "status", "shown_amount", "reason", "requested_by", "created_at"]
    list_filter = ["status"]
    list_select_related = ["payment__order", "requested_by"]
    show_full_result_count = False
    actions = ["agree"]

    @admin.display(description="Amount")
    def shown_amount(self, refund: Refund) -> str:
        return show_money(refund.amount)

    def has_request_refund_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_REFUND)

    @admin.action(description="Agree: send the money back", permissions=["request_refund"])
    def agree(self, request: HttpRequest, refunds: QuerySet[Refund]) -> None:
        assert isinstance(request.user, User)  # noqa: S101 - for the type checker
        now = timezone.now()
        agreed = sum(
            approve_refund(refund, approved_by=request.user, now=now)
            for refund in refunds.select_related("payment")
        )
        self.message_user(request, f"{agreed} refunds are handed to the worker.")
