"""The page on which staff send the price of single pieces back."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from checkout.catalogue.money import money, show_money
from checkout.orders.admin.lists import ReadOnlyAdmin
from checkout.orders.admin.reason import ReasonPage, StaffForm
from checkout.orders.models import Order, OrderLine
from checkout.orders.money.parts import parts_for_staff
from checkout.orders.states import DispatchStatus
from checkout.user_input.whole_numbers import WholeNumberField
from payments.admin.goods_forms import SENT_TWICE, PiecesField
from payments.models import Payment, Refund, new_key
from payments.prices import cost_minor
from payments.refund_lines import (
    RefundedPieces,
    delivery_left_minor,
    refund_lines,
    to_call_off,
    worth,
)
from payments.refunds import RefundImpossible, refundable_minor
from payments.states import PaymentStatus

NOTHING_SENT_YET = (
    "<strong>{}</strong> will be sent back{}. If that is what you mean, press the button; nothing "
    "has been sent yet."
)
NOTHING_TAKEN_OFF_YET = (
    "<strong>{}</strong> will not be charged{}. If that is what you mean, press the button; "
    "nothing has been taken off yet."
)


class LinesForm(StaffForm):
    delivery = forms.BooleanField(label="Delivery", required=False)
    reason = forms.CharField(max_length=200, help_text="For the order's history.")
    # The key is made with the page: the same page sent twice is one refund.
    key = forms.RegexField(r"^[\w-]{32}$", widget=forms.HiddenInput)
    # What was left of delivery when the page was made, in minor units.
    of_delivery = WholeNumberField(widget=forms.HiddenInput)
    # The amount in minor units that the page has shown back; empty while it has shown none.
    shown = WholeNumberField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, payment: Payment, **kwargs: Any) -> None:
        order = payment.order
        of_delivery = delivery_left_minor(order)
        initial = {"key": new_key(), "of_delivery": of_delivery}
        super().__init__(*args, initial=initial, **kwargs)
        self.lines = [
            line for line in order.lines.all() if self.is_bound or line.quantity > line.refunded
        ]
        for line in self.lines:
            self.fields[f"pieces_{line.pk}"] = PiecesField(
                line, label="", help_text=_how_it_stands(order, line)
            )
            self.fields[f"restock_{line.pk}"] = forms.BooleanField(
                label=f"On sale again: {line.sku}",
                required=False,
                help_text="The pieces that you typed above go on sale again.",
            )
        if of_delivery or self.is_bound:
            left = show_money(money(of_delivery, order.currency))
            self.fields["delivery"].help_text = f"{left} of it is left."
        else:
            del self.fields["delivery"]
        last = ("delivery", "reason", "key", "of_delivery", "shown")
        self.order_fields([*(name for name in self.fields if name not in last), *last])

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        wanted = {}
        for line in self.lines:
            pieces = typed.pop(f"pieces_{line.pk}", 0) or 0
            on_sale = pieces if typed.pop(f"restock_{line.pk}", False) else 0
            if pieces:
                wanted[line.pk] = RefundedPieces(pieces, on_sale)
        of_delivery = typed.pop("of_delivery", 0)
        is_back = typed.pop("delivery", False)
        return typed | {"wanted": wanted, "delivery_minor": of_delivery if is_back else 0}

    def show_back(self, amount_minor: int) -> None:
        """Ask once more, with the amount as it was worked out."""
        data: Any = self.data.copy()  # type: ignore[attr-defined] # a QueryDict
        data["shown"] = str(amount_minor)
        self.data = data


def _how_it_stands(order: Order, line: OrderLine) -> str:
    """What helps to decide how many pieces to type."""
    cost = show_money(money(cost_minor(order, line), order.currency))
    left = line.quantity - line.refunded
    all_of_it = "It" if line.quantity == 1 else f"All {line.quantity} together"
    words = f"How many, of {left}. {all_of_it} cost {cost} with discount and tax"
    if order.dispatch_status == DispatchStatus.NOT_RECORDED:
        return f"{words}; what was sent of them was not written down."
    states = (
        (line.quantity - line.shipped - line.called_off, "not sent yet"),
        (line.shipped - line.returned, "with the customer"),
        (line.called_off + line.returned, "called off or back"),
    )
    return f"{words}: " + ", ".join(f"{count} {state}" for count, state in states if count) + "."


@dataclass(frozen=True)
class LinesPage:
    payment: Payment
    person: User

    @property
    def _page(self) -> ReasonPage:
        order = self.payment.order
        parts = " · ".join(parts_for_staff(order))
        made_of = f" The order cost {show_money(order.total)} ({parts})." if parts else ""
        return ReasonPage(
            title=f"Refund of order {order.number} by lines",
            explains=f"{self._what_is_left()} "
            "Say how many pieces of each line are paid back; the amount is worked out from what "
            "they cost. Pieces that were not sent are called off and never sent. What was sent and "
            f"came back is taken in first, on a page of its own.{made_of}",
            label="Go on",
            back=reverse("admin:orders_order_change", args=[order.pk]),
            act=self._send,
        )

    def _what_is_left(self) -> str:
        payment = self.payment
        left = show_money(money(refundable_minor(payment), payment.currency))
        rest = show_money(money(payment.rest_minor, payment.currency))
        if payment.status == PaymentStatus.AUTHORISED:
            return (
                f"Nothing was charged yet: the bank keeps {rest} that is charged when it is sent."
            )
        if payment.captures_later and payment.rest_minor and payment.order.authorised_until:
            return f"Of this payment {left} is left, and the bank keeps {rest} for what is sent."
        return f"Of this payment {left} is left."

    def answer(
        self, model_admin: ReadOnlyAdmin[Payment], request: HttpRequest, form: LinesForm
    ) -> HttpResponse:
        """Ask for a refund in two steps: the second shows the amount as it was worked out."""
        page = self._page
        if request.method != "POST" or not form.is_valid() or self._is_known(form):
            return page.answer(model_admin, request, form)
        typed = form.cleaned_data
        try:
            asked = worth(self.payment, typed["wanted"], delivery_minor=typed["delivery_minor"])
        except RefundImpossible as error:
            if self._is_known(form):  # another press of this page was faster
                return page.answer(model_admin, request, form)
            form.add_error(None, str(error))
            return page.ask(model_admin, request, form)
        shown = show_money(money(asked.amount_minor, self.payment.currency))
        label = f"Do not charge {shown}" if asked.is_release else f"Send {shown} back"
        page = replace(page, label=label)
        # Or another press of this page was faster, while the amount was worked out.
        if typed["shown"] == asked.amount_minor or self._is_known(form):
            return page.answer(model_admin, request, form)
        form.show_back(asked.amount_minor)
        words = NOTHING_TAKEN_OFF_YET if asked.is_release else NOTHING_SENT_YET
        warning = format_html(words, shown, self._what_else(typed["wanted"]))
        return replace(page, warning=warning).ask(model_admin, request, form)

    def _is_known(self, form: LinesForm) -> bool:
        """Whether this page was sent before. What is left has become less since."""
        return self.payment.refunds.filter(key=form.cleaned_data["key"]).exists()

    def _what_else(self, wanted: dict[int, RefundedPieces]) -> str:
        order = self.payment.order
        lines = {line.pk: line for line in order.lines.all()}
        unsent = sum(to_call_off(order, lines[pk], each.pieces) for pk, each in wanted.items())
        on_sale = sum(each.restock for each in wanted.values())
        words = f"; {unsent} pieces will never be sent" if unsent else ""
        return f"{words}; {on_sale} pieces go on sale again" if on_sale else words

    def _send(
        self,
        *,
        wanted: dict[int, RefundedPieces],
        delivery_minor: int,
        reason: str,
        key: str,
        shown: int | None,
        now: datetime,
        by: str,
    ) -> str:
        before = Refund.objects.filter(key=key).exists()
        refund = refund_lines(
            self.payment,
            wanted,
            delivery_minor=delivery_minor,
            shown_minor=shown,
            reason=reason,
            requested_by=self.person,
            key=key,
            now=now,
        )
        amount = show_money(refund.amount)
        if before:
            return f"A refund of {amount} was asked for. {SENT_TWICE}"
        if refund.is_release:
            return f"{amount} will not be charged."
        return f"{amount} will be sent back; the worker is on it."
