"""Payments, shown on the page of their order and on their own."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from checkout.catalogue.templatetags.money import show_money
from checkout.orders.admin import OrderAdmin, ReadOnly, ReadOnlyInline
from checkout.orders.models import Order
from payments.models import Payment, PaymentAttempt


class PaymentInline(ReadOnlyInline):
    model = Payment
    fields = ["round", "status", "shown_amount", "payment_method"]
    fields += ["gateway_payment_id", "settled_at", "calls"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("attempts")

    @admin.display(description="Amount")
    def shown_amount(self, payment: Payment) -> str:
        return show_money(payment.amount)

    @admin.display(description="Calls to the gateway")
    def calls(self, payment: Payment) -> str:
        return " · ".join(str(attempt) for attempt in payment.attempts.all())


class OrderWithPayments(OrderAdmin):
    inlines = [*OrderAdmin.inlines, PaymentInline]


# Payments know orders and not the other way round, so their part of the page is added from here.
admin.site.unregister(Order)
admin.site.register(Order, OrderWithPayments)


class PaymentAttemptInline(ReadOnlyInline):
    model = PaymentAttempt
    fields = ["started_at", "finished_at", "step", "outcome", "code"]


@admin.register(Payment)
class PaymentAdmin(ReadOnly, admin.ModelAdmin[Payment]):
    list_display = ["order", "round", "status", "shown_amount", "decline_code", "created_at"]
    list_filter = ["status"]
    list_select_related = ["order"]
    search_fields = ["=gateway_payment_id", "=order__number"]
    show_full_result_count = False
    inlines = [PaymentAttemptInline]

    @admin.display(description="Amount")
    def shown_amount(self, payment: Payment) -> str:
        return show_money(payment.amount)
