"""What came to the shop's account, and what staff have to send back from it."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse

from checkout.catalogue.money import show_money
from checkout.catalogue.typed_amounts import AmountField
from checkout.orders.admin.lists import ChoiceFilter, ReadOnlyAdmin
from checkout.orders.admin.reason import ReasonForm, ReasonPage, StaffForm, person_who_may
from payments.gateways.bank_transfer.models import ReceivedTransfer, ReturnedTransfer
from payments.gateways.bank_transfer.receive import (
    Entry,
    assign,
    mark_sent,
    record,
    set_aside,
)

MAY_RECORD = "bank_transfer.record_transfers"
MAY_SEND_BACK = "bank_transfer.send_transfers_back"

FOR_A_PERSON = {"expected": None, "seen_to_at": None}


class StateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    choices_of_rows = (
        ("open", "A person must look", lambda: ReceivedTransfer.objects.filter(**FOR_A_PERSON)),
        ("order", "For an order", lambda: ReceivedTransfer.objects.exclude(expected=None)),
        ("aside", "Set aside", lambda: ReceivedTransfer.objects.exclude(seen_to_at=None)),
    )


class EntryForm(StaffForm):
    bank_reference = forms.CharField(
        label="The bank's reference",
        max_length=80,
        help_text="As the bank's statement has it. Money is recorded once by it.",
    )
    booked_on = forms.DateField(label="Booked on", widget=forms.DateInput(attrs={"type": "date"}))
    amount_minor = AmountField(label="Amount")
    text = forms.CharField(
        label="What the payer wrote", max_length=300, required=False, help_text="With the number."
    )


class AssignForm(ReasonForm):
    number = forms.CharField(label="Order number", max_length=30)


class SentForm(StaffForm):
    bank_reference = forms.CharField(label="The bank's reference", max_length=80)


@admin.register(ReceivedTransfer)
class ReceivedTransferAdmin(ReadOnlyAdmin[ReceivedTransfer]):
    change_list_template = "payments/admin_transfer_received_list.html"
    change_form_template = "payments/admin_transfer_received.html"
    list_display = ["bank_reference", "booked_on", "shown_amount", "shown_order", "text"]
    list_display += ["recorded_at", "recorded_by", "seen_to_by"]
    list_filter = [StateFilter]
    list_select_related = ["expected"]
    search_fields = ["bank_reference"]

    @admin.display(description="Amount")
    def shown_amount(self, received: ReceivedTransfer) -> str:
        return show_money(received.amount)

    @admin.display(description="Order", empty_value="none")
    def shown_order(self, received: ReceivedTransfer) -> str | None:
        return received.expected.number if received.expected else None

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("record/", view(self.record_view), name="bank_transfer_record"),
            path("<int:received_id>/assign/", view(self.assign_view), name="bank_transfer_assign"),
            path("<int:received_id>/aside/", view(self.aside_view), name="bank_transfer_aside"),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        may = {"may_record": request.user.has_perm(MAY_RECORD)}
        return super().changelist_view(request, (extra_context or {}) | may)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        received: ReceivedTransfer | None = kwargs.get("obj")
        is_open = received is not None and not (received.expected_id or received.seen_to_at)
        context["may_decide"] = is_open and request.user.has_perm(MAY_RECORD)
        return super().render_change_form(request, context, *args, **kwargs)

    def record_view(self, request: HttpRequest) -> HttpResponse:
        person_who_may(self, request, MAY_RECORD)

        def act(by: str, now: Any, *, amount_minor: int, **typed: Any) -> str:
            currency = settings.SHOP_CURRENCY
            entry = Entry(amount_minor=amount_minor, currency=currency, **typed)
            return f"The money is {record(entry, by=by, now=now).value}."

        page = ReasonPage(
            title="Record a bank transfer",
            explains="One entry of the bank's statement. The order is found by its number in what "
            "the payer wrote. `manage.py record_transfers` reads a whole statement.",
            label="Record it",
            back=reverse("admin:bank_transfer_receivedtransfer_changelist"),
            act=act,
        )
        return page.answer(self, request, EntryForm(request.POST or None))

    def assign_view(self, request: HttpRequest, received_id: int) -> HttpResponse:
        person_who_may(self, request, MAY_RECORD)
        received = get_object_or_404(ReceivedTransfer, pk=received_id)
        page = ReasonPage(
            title=f"For which order is {show_money(received.amount)}?",
            explains=f"The payer wrote: “{received.text}”. An order that waits for its money is "
            "paid by it. For one that is paid already the money is a surplus, whose refund is "
            "prepared for a person to agree to.",
            label="It is for this order",
            back=reverse("admin:bank_transfer_receivedtransfer_change", args=[received_id]),
            act=lambda number, why, by, now: assign(received, number, by=by, why=why, now=now),
        )
        return page.answer(self, request, AssignForm(request.POST or None))

    def aside_view(self, request: HttpRequest, received_id: int) -> HttpResponse:
        person_who_may(self, request, MAY_RECORD)
        received = get_object_or_404(ReceivedTransfer, pk=received_id)
        page = ReasonPage(
            title=f"{show_money(received.amount)} is for no order",
            explains="Say what became of the money, such as sent back to the payer at the bank. "
            "Nothing is sent by this.",
            label="Set it aside",
            back=reverse("admin:bank_transfer_receivedtransfer_change", args=[received_id]),
            act=lambda why, by, now: set_aside(received, by=by, why=why, now=now),
        )
        return page.answer(self, request, ReasonForm(request.POST or None))


class SentFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    choices_of_rows = (
        ("open", "To be sent", lambda: ReturnedTransfer.objects.filter(sent_at=None)),
        ("sent", "Sent", lambda: ReturnedTransfer.objects.exclude(sent_at=None)),
    )


@admin.register(ReturnedTransfer)
class ReturnedTransferAdmin(ReadOnlyAdmin[ReturnedTransfer]):
    change_form_template = "payments/admin_transfer_returned.html"
    list_display = ["__str__", "shown_order", "shown_amount", "asked_at", "sent_at", "sent_by"]
    list_filter = [SentFilter]
    list_select_related = ["expected"]

    @admin.display(description="Amount")
    def shown_amount(self, returned: ReturnedTransfer) -> str:
        return show_money(returned.amount)

    @admin.display(description="Order")
    def shown_order(self, returned: ReturnedTransfer) -> str:
        return returned.expected.number

    def get_urls(self) -> list[URLPattern]:
        sent = self.admin_site.admin_view(self.sent_view)
        return [
            path("<int:returned_id>/sent/", sent, name="bank_transfer_sent"),
            *super().get_urls(),
        ]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        returned: ReturnedTransfer | None = kwargs.get("obj")
        is_open = returned is not None and returned.sent_at is None
        context["may_send"] = is_open and request.user.has_perm(MAY_SEND_BACK)
        return super().render_change_form(request, context, *args, **kwargs)

    def sent_view(self, request: HttpRequest, returned_id: int) -> HttpResponse:
        person_who_may(self, request, MAY_SEND_BACK)
        rows = ReturnedTransfer.objects.select_related("expected")
        returned = get_object_or_404(rows, pk=returned_id)
        page = ReasonPage(
            title=f"{show_money(returned.amount)} was sent back",
            explains="Send it at the bank first, to the account from which the money of order "
            f"{returned.expected.number} came. Then say so here, and the customer gets an e-mail.",
            label="It is sent",
            back=reverse("admin:bank_transfer_returnedtransfer_change", args=[returned_id]),
            act=lambda bank_reference, by, now: mark_sent(returned, bank_reference, by=by, now=now),
            is_possible=returned.sent_at is None,
        )
        return page.answer(self, request, SentForm(request.POST or None))
