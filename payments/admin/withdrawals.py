"""Withdrawals that customers have stated: the open ones, and the page on which staff decide."""

from datetime import datetime
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse

from checkout.orders.admin.lists import ChoiceFilter, ReadOnlyAdmin
from checkout.orders.admin.reason import ReasonPage, StaffForm, person_who_may, reason_field
from checkout.orders.models import Withdrawal
from checkout.orders.numbers import parse_order_number
from checkout.orders.withdrawals.decide import DECIDED, attach, close, refuse
from payments.withdrawals import WORDS, agree, ways_to_agree

MAY_DECIDE = "orders.decide_withdrawal"

OPEN = Withdrawal.Status.STATED

REFUSE, ATTACH, CLOSE = "refuse", "attach", "close"

OTHER_WORDS = {
    REFUSE: "Refuse: nothing goes back, and the customer reads your reason in a mail",
    ATTACH: "Attach it to the order of this number, and decide about it next",
    CLOSE: "Close it: there is no such order; nobody is written to",
}


class DecisionForm(StaffForm):
    decision = forms.ChoiceField(widget=forms.RadioSelect)
    number = forms.CharField(label="Order number", max_length=40, required=False)
    why = reason_field(
        "Reason", help_text="Kept with the order. If you refuse, the customer reads it as it is."
    )

    def __init__(self, *args: Any, statement: Withdrawal, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        order = statement.order
        if order is None:
            offered = {name: OTHER_WORDS[name] for name in (ATTACH, CLOSE)}
        else:
            del self.fields["number"]
            offered = {way: WORDS[way] for way in ways_to_agree(order)}
            offered[REFUSE] = OTHER_WORDS[REFUSE]
        decision = self.fields["decision"]
        assert isinstance(decision, forms.ChoiceField)  # noqa: S101 - for the type checker
        decision.choices = list(offered.items())

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        if typed.get("decision") == ATTACH and not parse_order_number(typed.get("number", "")):
            self.add_error("number", "Which order? A digit of the number is missing or wrong.")
        return typed


def _decide(
    statement: Withdrawal,
    person: User,
    *,
    decision: str,
    why: str,
    by: str,
    now: datetime,
    number: str = "",
) -> str:
    if decision == REFUSE:
        return refuse(statement, by=by, why=why, now=now)
    if decision == CLOSE:
        return close(statement, by=by, why=why, now=now)
    if decision == ATTACH:
        return attach(statement, number=number, by=by, why=why, now=now)
    return agree(statement, decision, person=person, why=why, now=now)


class StateFilter(ChoiceFilter):
    """The open ones, which have an index, are shown unless somebody asks for the others."""

    title = "state"
    parameter_name = "state"
    choices_of_rows = [
        ("open", "Waits for a decision", lambda: Withdrawal.objects.filter(status=OPEN)),
        ("unmatched", "Belongs to no order", lambda: _without_an_order()),
        ("all", "All", lambda: Withdrawal.objects.all()),
    ]

    def value(self) -> str:
        return super().value() or "open"

    def choices(self, changelist: Any) -> Any:
        """Without Django's own “All”, which has the address of the open ones here."""
        _, *own = super().choices(changelist)
        return own


def _without_an_order() -> QuerySet[Withdrawal]:
    return Withdrawal.objects.filter(status=OPEN, order=None)


@admin.register(Withdrawal)
class WithdrawalAdmin(ReadOnlyAdmin[Withdrawal]):
    change_form_template = "payments/admin_withdrawal.html"
    ordering = ["-id"]
    list_display = ["stated_at", "number", "order", "full_name", "email"]
    list_filter = [StateFilter]
    list_select_related = ["order"]
    list_per_page = 50
    search_fields = ["order__number"]
    search_help_text = "Order number, whole"
    fields = ["stated_at", "number", "order", "full_name", "email", "which_goods", "language"]
    fields += ["status", "decided_at", "decided_by", "reason"]

    def search(self, queryset: QuerySet[Withdrawal], term: str) -> QuerySet[Withdrawal]:
        return queryset.filter(order__number=parse_order_number(term))

    def get_list_display(self, request: HttpRequest) -> Any:
        """About the open ones nobody has decided, so that their list needs fewer columns."""
        is_of_all = request.GET.get(StateFilter.parameter_name) == "all"
        decision = ["status", "decided_at", "decided_by"] if is_of_all else []
        return [*self.list_display, *decision]

    @admin.display(description="Which goods")
    def which_goods(self, statement: Withdrawal) -> str:
        return statement.about or "All of the order"

    @admin.display(description="Reason of the decision")
    def reason(self, statement: Withdrawal) -> str:
        return statement.decided_why or "-"

    def get_urls(self) -> list[URLPattern]:
        decide = self.admin_site.admin_view(self.decide_view)
        own = [path("<int:withdrawal_id>/decide/", decide, name="orders_withdrawal_decide")]
        return [*own, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        statement: Withdrawal | None = kwargs.get("obj")
        is_open = statement is not None and statement.status == OPEN
        context["may_decide"] = is_open and request.user.has_perm(MAY_DECIDE)
        return super().render_change_form(request, context, *args, **kwargs)

    def decide_view(self, request: HttpRequest, withdrawal_id: int) -> HttpResponse:
        person = person_who_may(self, request, MAY_DECIDE)
        known = Withdrawal.objects.select_related("order")
        statement = get_object_or_404(known, pk=withdrawal_id)
        back = reverse("admin:orders_withdrawal_change", args=[statement.pk])
        if statement.status != OPEN:
            self.message_user(request, DECIDED, messages.INFO)
            return redirect(back)
        page = _page(statement, person, back)
        return page.answer(self, request, DecisionForm(request.POST or None, statement=statement))


def _page(statement: Withdrawal, person: User, back: str) -> ReasonPage:
    order = statement.order
    warning = ""
    if order and not ways_to_agree(order):
        warning = (
            "The order's payment is under way. Agree when it is decided: until then nobody knows "
            "what there is to send back."
        )
    return ReasonPage(
        title=f"Withdrawal of {statement.stated_at:%Y-%m-%d %H:%M:%S} UTC: {statement.number}",
        explains=_explains(statement),
        label="Decide",
        back=back,
        act=partial(_decide, statement, person),
        warning=warning,
    )


def _explains(statement: Withdrawal) -> str:
    about = statement.about or "all of the order"
    who = f"{statement.full_name} ({statement.email}) withdraws from: {about}."
    if statement.order is None:
        return f"{who} Number and address name no order of ours together."
    paid = statement.order.get_status_display()
    sent = statement.order.get_dispatch_status_display()
    return f"{who} The order's payment: {paid}. Its parcels: {sent}."
