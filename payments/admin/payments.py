"""Payments, refunds and the gateway's events; and the way to send money back."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from checkout.catalogue.money import money, show_money
from checkout.catalogue.typed_amounts import AmountField
from checkout.orders.admin.lists import ReadOnlyAdmin, ReadOnlyInline
from checkout.orders.admin.reason import ReasonForm, ReasonPage, StaffForm, person_who_may
from checkout.orders.models import Order
from checkout.orders.money.parts import parts_for_staff
from checkout.user_input.whole_numbers import WholeNumberField
from payments.admin.refund_lines import LinesForm, LinesPage
from payments.models import Capture, Payment, PaymentAttempt, Refund, WebhookEvent, new_key
from payments.refunds import approve_refund, refundable_minor, request_refund
from payments.states import RefundStatus

MAY_REFUND = "payments.request_refund"


class ShowsAmount:
    @admin.display(description="Amount")
    def shown_amount(self, row: Payment | Refund) -> str:
        return show_money(row.amount)


class PaymentInline(ReadOnlyInline):
    model = Payment
    fields = ["round", "gateway", "status", "shown_amount", "payment_method"]
    fields += ["gateway_payment_id", "settled_at", "calls", "moved", "disputed"]
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return (
            super()
            .get_queryset(request)
            .prefetch_related("attempts", "captures", "refunds", "disputes")
        )

    @admin.display(description="Amount")
    def shown_amount(self, payment: Payment) -> str:
        surplus = " (surplus)" if payment.is_surplus else ""
        return f"{show_money(payment.amount)}{surplus}"

    @admin.display(description="Calls to the gateway")
    def calls(self, payment: Payment) -> str:
        return " · ".join(str(attempt) for attempt in payment.attempts.all())

    @admin.display(description="Parcels and refunds")
    def moved(self, payment: Payment) -> str:
        """What was charged when it was sent, and what was sent back."""
        rows: list[Capture | Refund] = [*payment.captures.all(), *payment.refunds.all()]
        return " · ".join(
            f"{show_money(money(row.amount_minor, payment.currency))} "
            f"{row.get_status_display().lower()}"
            for row in rows
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


class RefundInline(ShowsAmount, ReadOnlyInline):
    model = Refund
    fields = ["created_at", "status", "shown_amount", "reason", "requested_by", "failure"]


class RefundForm(StaffForm):
    refused_at = "amount"

    amount = AmountField(help_text="Part of it, or all that is left.")
    reason = forms.CharField(max_length=200, help_text="For the order's history.")
    # The key is made with the page: the same page sent twice is one refund.
    key = forms.RegexField(r"^[\w-]{32}$", widget=forms.HiddenInput)
    # The amount in minor units that the page has shown back; empty while it has shown none.
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
class PaymentAdmin(ShowsAmount, ReadOnlyAdmin[Payment]):
    change_form_template = "payments/admin_payment.html"
    list_display = ["order", "round", "status", "shown_amount", "decline_code", "created_at"]
    list_filter = ["status", "is_surplus"]
    list_select_related = ["order"]
    search_fields = ["gateway_payment_id"]
    search_help_text = "The gateway's id, whole"
    inlines = [PaymentAttemptInline, RefundInline]

    def search(self, queryset: QuerySet[Payment], term: str) -> QuerySet[Payment]:
        return queryset.filter(gateway_payment_id=term)

    def get_urls(self) -> list[URLPattern]:
        refund = self.admin_site.admin_view(self.refund_view)
        lines = self.admin_site.admin_view(self.refund_lines_view)
        own = [
            path("<int:payment_id>/refund/", refund, name="payments_payment_refund"),
            path("<int:payment_id>/refund-lines/", lines, name="payments_payment_refund_lines"),
        ]
        return [*own, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        payment: Payment | None = kwargs.get("obj")
        may_refund = request.user.has_perm(MAY_REFUND)
        context["can_refund"] = bool(may_refund and payment and refundable_minor(payment))
        return super().render_change_form(request, context, *args, **kwargs)

    def refund_view(self, request: HttpRequest, payment_id: int) -> HttpResponse:
        """Ask for a refund in two steps: the second shows the amount as it was understood."""
        person = person_who_may(self, request, MAY_REFUND)
        payment = get_object_or_404(Payment.objects.select_related("order"), pk=payment_id)
        form = RefundForm(request.POST or None, payment=payment)
        left = show_money(money(form.left_minor, payment.currency))
        page = ReasonPage(
            title=f"Refund of order {payment.order.number}",
            explains=f"Of this payment {left} is left. The money goes back to the card that paid; "
            "the customer sees it on the order's page as soon as the gateway has agreed."
            + _made_of(payment.order),
            label="Go on",
            back=reverse("admin:orders_order_change", args=[payment.order_id]),
            act=lambda amount, reason, key, now, **_: _will_be_sent_back(
                request_refund(
                    payment,
                    amount_minor=amount,
                    reason=reason,
                    requested_by=person,
                    key=key,
                    now=now,
                )
            ),
        )
        if request.method == "POST" and form.is_valid() and not form.is_confirmed:
            shown = show_money(money(form.show_back(), payment.currency))
            warning = format_html(NOTHING_SENT_YET, shown)
            return replace(page, label=f"Send {shown} back", warning=warning).ask(
                self, request, form
            )
        return page.answer(self, request, form)

    def refund_lines_view(self, request: HttpRequest, payment_id: int) -> HttpResponse:
        person = person_who_may(self, request, MAY_REFUND)
        payment = get_object_or_404(Payment.objects.select_related("order"), pk=payment_id)
        form = LinesForm(request.POST or None, payment=payment)
        return LinesPage(payment, person).answer(self, request, form)


NOTHING_SENT_YET = (
    "<strong>{}</strong> will be sent back. If that is what you mean, press the button; nothing "
    "has been sent yet."
)


def _made_of(order: Order) -> str:
    """What a part of the money may be sent back for: delivery, say, or goods with their tax."""
    parts = parts_for_staff(order)
    return f" The order cost {show_money(order.total)} ({' · '.join(parts)})." if parts else ""


def _will_be_sent_back(refund: Refund) -> str:
    return f"{show_money(refund.amount)} will be sent back; the worker is on it."


@admin.register(Refund)
class RefundAdmin(ShowsAmount, ReadOnlyAdmin[Refund]):
    list_display = ["order", "status", "shown_amount", "reason", "requested_by", "created_at"]
    list_filter = ["status"]
    list_select_related = ["payment__order", "requested_by"]

    @admin.display(description="Order")
    def order(self, refund: Refund) -> str:
        return refund.payment.order.number

    def get_urls(self) -> list[URLPattern]:
        agree = self.admin_site.admin_view(self.agree_view)
        own = [path("<int:refund_id>/agree/", agree, name="payments_refund_agree")]
        return [*own, *super().get_urls()]

    def agree_view(self, request: HttpRequest, refund_id: int) -> HttpResponse:
        """Agree to a refund that the shop has prepared. The worker makes the refund."""
        person = person_who_may(self, request, MAY_REFUND)
        refund = get_object_or_404(Refund.objects.select_related("payment__order"), pk=refund_id)
        order, amount = refund.payment.order, show_money(refund.amount)

        def agree(*, why: str, by: str, now: datetime) -> str:
            if approve_refund(refund, approved_by=person, why=why, now=now):
                return _will_be_sent_back(refund)
            return "Somebody has agreed to it before; nothing was added."

        page = ReasonPage(
            title=f"Send {amount} back: order {order.number}",
            explains=f"Prepared by the shop: {refund.reason}. The money goes back to the card "
            "that paid." + _made_of(order),
            label=f"Send {amount} back",
            back=reverse("admin:orders_order_change", args=[order.pk]),
            act=agree,
            is_possible=refund.status == RefundStatus.PREPARED,
        )
        return page.answer(self, request, ReasonForm(request.POST or None))


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnlyAdmin[WebhookEvent]):
    list_display = ["event_id", "kind", "order", "received_at"]
    list_select_related = ["order"]
