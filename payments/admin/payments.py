"""Payments, refunds and the gateway's events; and the way to send money back."""

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

from checkout.catalogue.money import money
from checkout.catalogue.templatetags.money import show_money
from checkout.catalogue.typed_amounts import AmountField
from checkout.orders.admin.lists import ReadOnly, ReadOnlyInline, ShortPaginator
from checkout.runtime.clock import database_now
from checkout.user_input.form_fields import WithoutCardNumbers
from checkout.user_input.whole_numbers import WholeNumberField
from payments.admin.actions import ReasonForm
from payments.models import Payment, PaymentAttempt, Refund, WebhookEvent, new_key
from payments.refunds import (
    RefundImpossible,
    approve_refund,
    refundable_minor,
    request_refund,
)
from payments.states import RefundStatus

MAY_REFUND = "payments.request_refund"


class PaymentInline(ReadOnlyInline):
    model = Payment
    fields = ["round", "status", "shown_amount", "payment_method"]
    fields += ["gateway_payment_id", "settled_at", "calls", "sent_back", "disputed"]
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("attempts", "refunds", "disputes")

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

    @admin.display(description="Disputes")
    def disputed(self, payment: Payment) -> str:
        return " · ".join(
            f"{show_money(dispute.amount)} {dispute.get_status_display().lower()}"
            + (f" until {dispute.due_at:%d %b %Y}" if dispute.due_at and is_open else "")
            for dispute in payment.disputes.all()
            for is_open in [dispute.closed_at is None]
        )


class PaymentAttemptInline(ReadOnlyInline):
    model = PaymentAttempt
    fields = ["started_at", "finished_at", "step", "outcome", "code"]


class RefundInline(ReadOnlyInline):
    model = Refund
    fields = ["created_at", "status", "shown_amount", "reason", "requested_by", "failure"]

    @admin.display(description="Amount")
    def shown_amount(self, refund: Refund) -> str:
        return show_money(refund.amount)


class RefundForm(WithoutCardNumbers, forms.Form):
    amount = AmountField(help_text="Part of it, or all that is left.")
    reason = forms.CharField(max_length=200, help_text="For the order's history.")
    # Made with the page: the same page sent twice is one refund.
    key = forms.RegexField(r"^[\w-]{32}$", widget=forms.HiddenInput)
    # The amount in minor units that the page has shown back. Empty: it has shown none yet.
    shown = WholeNumberField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, payment: Payment, **kwargs: Any) -> None:
        self.left_minor = refundable_minor(payment)
        initial = {"amount": self.left_minor, "key": new_key()}
        super().__init__(*args, initial=initial, **kwargs)
        amount = self.fields["amount"]
        assert isinstance(amount, AmountField)  # noqa: S101 - for the type checker
        amount.currency = payment.currency
        amount.label = f"Amount in {payment.currency}"

    @property
    def is_confirmed(self) -> bool:
        """Whether the amount is the one that the page has shown back."""
        return bool(self.cleaned_data["shown"] == self.cleaned_data["amount"])

    def show_back(self) -> int:
        """Ask once more, with the amount as it was understood."""
        amount_minor: int = self.cleaned_data["amount"]
        data: Any = self.data.copy()  # type: ignore[attr-defined] # a QueryDict
        data["shown"] = str(amount_minor)
        self.data = data
        return amount_minor


@admin.register(Payment)
class PaymentAdmin(ReadOnly, admin.ModelAdmin[Payment]):
    change_form_template = "payments/admin_payment.html"
    list_display = ["order", "round", "status", "shown_amount", "decline_code", "created_at"]
    list_filter = ["status", "is_surplus"]
    list_select_related = ["order"]
    search_fields = ["gateway_payment_id"]
    search_help_text = "The gateway's id, whole"
    sortable_by = ()
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = ShortPaginator
    inlines = [PaymentAttemptInline, RefundInline]

    @admin.display(description="Amount")
    def shown_amount(self, payment: Payment) -> str:
        return show_money(payment.amount)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Payment], search_term: str
    ) -> tuple[QuerySet[Payment], bool]:
        term = search_term.strip()
        return (queryset.filter(gateway_payment_id=term) if term else queryset), False

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
        """Ask for a refund, in two steps: the second shows the amount as it was understood. The
        worker makes the refund; this page only writes it down."""
        user = request.user
        if not (self.has_view_permission(request) and user.has_perm(MAY_REFUND)):
            raise PermissionDenied
        assert isinstance(user, User)  # noqa: S101 - for the type checker
        payment = get_object_or_404(Payment.objects.select_related("order"), pk=payment_id)
        form = RefundForm(request.POST or None, payment=payment)
        shown = ""
        if request.method == "POST" and form.is_valid() and not form.is_confirmed:
            shown = show_money(money(form.show_back(), payment.currency))
        elif request.method == "POST" and form.is_valid():
            try:
                refund = request_refund(
                    payment,
                    amount_minor=form.cleaned_data["amount"],
                    reason=form.cleaned_data["reason"],
                    requested_by=user,
                    key=form.cleaned_data["key"],
                    now=database_now(),
                )
            except RefundImpossible as error:
                form.add_error("amount", str(error))
            else:
                told = f"{show_money(refund.amount)} will be sent back; the worker is on it."
                self.message_user(request, told, messages.SUCCESS)
                return redirect("admin:orders_order_change", payment.order_id)
        context = self.admin_site.each_context(request) | {
            "title": f"Refund of order {payment.order.number}",
            "payment": payment,
            "left": show_money(money(form.left_minor, payment.currency)),
            "shown": shown,
            "form": form,
            "opts": self.opts,
        }
        return TemplateResponse(request, "payments/admin_refund.html", context)


@admin.register(Refund)
class RefundAdmin(ReadOnly, admin.ModelAdmin[Refund]):
    list_display = ["order", "status", "shown_amount", "reason", "requested_by", "created_at"]
    list_filter = ["status"]
    list_select_related = ["payment__order", "requested_by"]
    sortable_by = ()
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = ShortPaginator

    @admin.display(description="Amount")
    def shown_amount(self, refund: Refund) -> str:
        return show_money(refund.amount)

    @admin.display(description="Order")
    def order(self, refund: Refund) -> str:
        return refund.payment.order.number

    def get_urls(self) -> list[URLPattern]:
        agree = self.admin_site.admin_view(self.agree_view)
        own = [path("<int:refund_id>/agree/", agree, name="payments_refund_agree")]
        return [*own, *super().get_urls()]

    def agree_view(self, request: HttpRequest, refund_id: int) -> HttpResponse:
        """Agree to a refund that the shop has prepared. The worker makes it."""
        user = request.user
        if not (self.has_view_permission(request) and user.has_perm(MAY_REFUND)):
            raise PermissionDenied
        assert isinstance(user, User)  # noqa: S101 - for the type checker
        refund = get_object_or_404(Refund.objects.select_related("payment__order"), pk=refund_id)
        order, amount = refund.payment.order, show_money(refund.amount)
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            why = form.cleaned_data["why"]
            try:
                is_new = approve_refund(refund, approved_by=user, why=why, now=database_now())
            except RefundImpossible as error:
                form.add_error(None, str(error))
            else:
                told = f"{amount} will be sent back; the worker is on it."
                if not is_new:
                    told = "Somebody has agreed to it before; nothing was added."
                self.message_user(request, told, messages.SUCCESS)
                return redirect("admin:orders_order_change", order.pk)
        context = self.admin_site.each_context(request) | {
            "title": f"Send {amount} back: order {order.number}",
            "explains": f"Prepared by the shop: {refund.reason}. The money goes back to the card "
            "that paid.",
            "label": f"Send {amount} back",
            "possible": refund.status == RefundStatus.PREPARED,
            "order": order,
            "form": form,
            "opts": self.opts,
        }
        return TemplateResponse(request, "payments/admin_act.html", context)


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnly, admin.ModelAdmin[WebhookEvent]):
    list_display = ["event_id", "kind", "order", "received_at"]
    list_select_related = ["order"]
    sortable_by = ()
    show_full_result_count = False
    paginator = ShortPaginator
