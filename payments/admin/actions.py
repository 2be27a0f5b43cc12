"""What staff may do to an order. Each action has its own permission, a page that says what will
happen, and a reason that is kept with the order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms

from checkout.catalogue.money import money, show_money
from checkout.orders.admin.reason import ReasonForm, reason_field
from checkout.orders.attention.queries import open_reasons
from checkout.orders.cancelling import can_be_cancelled_by_staff, can_cancel_paid, cancel_paid
from checkout.orders.dispatch.correct_address import can_correct_address, correct_address
from checkout.orders.dispatch.put_back import restock, something_can_go_on_sale
from checkout.orders.dispatch.returns import ReturnedPieces, may_come_back, take_return
from checkout.orders.mail.address import one_spelling
from checkout.orders.mail.by_staff import LINK, correct_email, send_mail_again
from checkout.orders.mail.send_again import still_true
from checkout.orders.models import Mail, Order
from checkout.orders.operations.staff_actions import (
    add_note,
    ask_to_cancel,
    put_back_dead_letter,
    retry_now,
    seen_to,
)
from checkout.orders.states import PAID_FOR, UNSETTLED, Canceller, OrderStatus
from checkout.user_input.whole_numbers import WholeNumberField
from payments.admin.contact_forms import AddressForm, NoteForm
from payments.admin.goods_forms import SENT_TWICE, RestockForm, ReturnForm
from payments.models import Payment
from payments.refunds import refundable_minor
from payments.states import UNDECIDED, PaymentStatus


class EmailForm(ReasonForm):
    email = forms.EmailField(label="Correct address", max_length=254)  # as the column
    # The address that the page showed.
    seen = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, order: Order, **kwargs: Any) -> None:
        super().__init__(*args, order=order, **kwargs)
        self.fields["seen"].initial = order.email
        self.fields["email"].help_text = f"Instead of {order.email}"

    def clean_email(self) -> str:
        return one_spelling(self.cleaned_data["email"])


class MailAgainForm(ReasonForm):
    which = forms.ChoiceField(label="E-mail", widget=forms.RadioSelect)
    # The last event that the page knew: the same page sent twice sends one e-mail.
    seen = WholeNumberField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, order: Order, **kwargs: Any) -> None:
        super().__init__(*args, order=order, **kwargs)
        to_the_customer = still_true(order.mails.exclude(kind__in=[LINK, Mail.Kind.SHOP_ORDER]))
        which = self.fields["which"]
        assert isinstance(which, forms.ChoiceField)  # noqa: S101 - for the type checker
        which.choices = [
            *((str(mail.pk), _described(mail)) for mail in to_the_customer),
            (str(LINK), LINK.label),
        ]
        which.help_text = f"It goes to {order.email}"
        last = order.events.order_by("pk").last()
        self.fields["seen"].initial = last.pk if last else 0


def _described(mail: Mail) -> str:
    kind = mail.get_kind_display()
    return f"{kind}, sent {mail.sent_at:%Y-%m-%d %H:%M} UTC" if mail.sent_at else kind


class SeenToForm(ReasonForm):
    reasons = forms.MultipleChoiceField(label="Seen to", widget=forms.CheckboxSelectMultiple)
    why = reason_field("What was done", min_length=5)

    def __init__(self, *args: Any, order: Order, **kwargs: Any) -> None:
        super().__init__(*args, order=order, **kwargs)
        field = self.fields["reasons"]
        assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101 - for the type checker
        field.choices = [
            (one.reason, f"{one.reason} (ends by itself: {one.ended_by})")
            for one in open_reasons(order)
        ]


class EvidenceForm(ReasonForm):
    became = forms.ChoiceField(
        label="The customer",
        choices=[("charged", "was charged"), ("not_charged", "was not charged")],
        widget=forms.RadioSelect,
    )
    gateway_payment_id = forms.CharField(
        label="Id of the payment at the gateway",
        max_length=120,
        required=False,
        help_text="If it was charged: the id that the gateway's own site shows.",
    )
    why = reason_field("Evidence", min_length=10, help_text="Where you saw it, and who told you.")

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        if typed.get("became") == "charged" and not typed.get("gateway_payment_id"):
            self.add_error("gateway_payment_id", "A charge has an id. Copy it from the gateway.")
        return typed


@dataclass(frozen=True, kw_only=True)
class StaffAction:
    """Something that the order's page offers; `act` is that of a `ReasonPage`, about an order."""

    name: str
    label: str
    permission: str
    explains: str
    # What the page says of this order besides.
    tells: Callable[[Order], str] = lambda order: ""
    act: Callable[..., str]
    is_possible: Callable[[Order], bool] = lambda order: True
    form: type[ReasonForm] = ReasonForm


def money_that_goes_back(order: Order) -> str:
    if order.status == OrderStatus.AUTHORISED:
        return "Nothing was charged: its bank keeps the money, and is told to set it free."
    paid = order.payments.filter(status=PaymentStatus.PAID, is_surplus=False)
    left = money(sum(map(refundable_minor, paid)), order.currency)
    return f"{show_money(left)} goes back to its customer."


def cancel_and_refund(order: Order, *, by: str, why: str, now: datetime) -> str:
    what = money_that_goes_back(order)
    if not cancel_paid(order, Canceller.STAFF, by=by, why=why, now=now):
        return "This order was cancelled before; nothing was added."
    return f"The order is cancelled, and its goods are on sale again. {what}"


def something_may_come_back(order: Order) -> bool:
    return order.status in PAID_FOR and any(
        may_come_back(order, line) for line in order.lines.all()
    )


def take_in(
    order: Order,
    *,
    quantities: Mapping[int, ReturnedPieces],
    key: str,
    by: str,
    why: str,
    now: datetime,
) -> str:
    is_known = order.returns.filter(key=key).exists()
    take_return(order, quantities, key=key, by=by, why=why, now=now)
    if is_known:
        return f"The return is taken in. {SENT_TWICE}"
    return "The return is taken in. No money was sent back by this."


def _undecided(order: Order) -> Payment | None:
    return order.payments.filter(status__in=UNDECIDED).order_by("id").first()


def _resolve(
    order: Order, *, became: str, gateway_payment_id: str, why: str, by: str, now: datetime
) -> str:
    # Imported here, so that web processes load no gateway for the sake of this rare case.
    from payments.settling.resolve_unknown import resolve_charged, resolve_not_charged

    payment = _undecided(order)
    if payment is None:
        return "The gateway has answered meanwhile; nothing was left to resolve."
    if became == "not_charged":
        return resolve_not_charged(payment, by=by, evidence=why, now=now)
    return resolve_charged(
        payment, gateway_payment_id=gateway_payment_id.strip(), by=by, evidence=why, now=now
    )


ACTIONS = {
    action.name: action
    for action in [
        StaffAction(
            name="retry",
            label="Retry now",
            permission="orders.retry_order",
            explains=(
                "A worker asks the gateway about this order at once, under the keys it has used "
                "before. Nobody is charged twice by that, however often it is done."
            ),
            act=retry_now,
        ),
        StaffAction(
            name="cancel",
            label="Cancel the order",
            permission="orders.cancel_order",
            explains=(
                "A worker closes the payment at the gateway, so that it can never be charged, and "
                "then cancels the order and puts its goods back on sale. If the customer has paid "
                "by then, the order stays, paid. An order that cost nothing is cancelled at once."
            ),
            is_possible=can_be_cancelled_by_staff,
            act=ask_to_cancel,
        ),
        StaffAction(
            name="cancel-paid",
            label="Cancel the order and send its money back",
            permission="orders.cancel_paid_order",
            explains=(
                "For a paid order of which nothing was sent. Nothing will be sent any more, its "
                "goods go on sale again, its customer is told, and a worker sends back all that "
                "is left of the money. That cannot be undone."
            ),
            tells=money_that_goes_back,
            is_possible=can_cancel_paid,
            act=cancel_and_refund,
        ),
        StaffAction(
            name="put-back",
            label="Put back from the dead-letter queue",
            permission="orders.redrive_dead_letter",
            explains=(
                "The order's message is published anew, so that a worker takes it up. The letter "
                "in the dead-letter queue means nothing from then on; `manage.py dead_letters "
                "redrive` removes it."
            ),
            is_possible=lambda order: order.status in UNSETTLED,
            act=put_back_dead_letter,
        ),
        StaffAction(
            name="correct-email",
            label="Correct the e-mail address",
            permission="orders.correct_email",
            explains=(
                "All that is written about this order from now on goes to the address that you "
                "type, and the customer finds the order by it. The order's link is sent to it at "
                "once. Links in e-mails that went to the other address open nothing any more, nor "
                "does a browser that had opened one; the browser that placed the order, and the "
                "account that it was placed with, go on showing it."
            ),
            act=correct_email,
            form=EmailForm,
        ),
        StaffAction(
            name="correct-address",
            label="Correct the address",
            permission="orders.correct_address",
            explains=(
                "The parcel goes to the address that you type. Country and region stay as they "
                "are, because tax and delivery were worked out for them; where another country is "
                "right, cancel the order and have it placed again. The address on the bill stays."
            ),
            is_possible=can_correct_address,
            act=correct_address,
            form=AddressForm,
        ),
        StaffAction(
            name="note",
            label="Add a note",
            permission="orders.add_note",
            explains="It is written down for whoever looks at this order next, and stays.",
            act=add_note,
            form=NoteForm,
        ),
        StaffAction(
            name="send-mail",
            label="Send an e-mail again",
            permission="orders.resend_mail",
            explains=(
                "It is written anew, from the order as it is now, and goes to the address that "
                "stands in the order."
            ),
            act=send_mail_again,
            form=MailAgainForm,
        ),
        StaffAction(
            name="return",
            label="Take a return in",
            permission="orders.take_return",
            explains=(
                "For goods that came back and that you have in hand. The customer is told that "
                "they have arrived. No money is sent back by this: do that afterwards, by "
                "“Send the price of pieces back” on the order's page."
            ),
            is_possible=something_may_come_back,
            act=take_in,
            form=ReturnForm,
        ),
        StaffAction(
            name="restock",
            label="Put goods back on sale",
            permission="catalogue.restock_order",
            explains=(
                "For goods that the shop has in hand: they came back and were taken in, or were "
                "called off before they were sent, and can be sold after all. They are on sale at "
                "once. No money is sent back by this."
            ),
            is_possible=something_can_go_on_sale,
            act=restock,
            form=RestockForm,
        ),
        StaffAction(
            name="resolve",
            label="Resolve an unknown outcome",
            permission="payments.resolve_outcome",
            explains=(
                "For a payment of which the gateway has not told for hours. First look for it on "
                "the gateway's own site: by the order's number, amount and time. Should the "
                "gateway say otherwise later, it is believed, and a second charge is put before a "
                "person with a refund prepared."
            ),
            is_possible=lambda order: _undecided(order) is not None,
            act=_resolve,
            form=EvidenceForm,
        ),
        StaffAction(
            name="seen-to",
            label="Seen to it",
            permission="orders.resolve_attention",
            explains=(
                "Says that nobody need look for this reason any more. It moves no money and "
                "changes nothing else: what it is about must have been put right otherwise."
            ),
            is_possible=lambda order: bool(open_reasons(order)),
            act=seen_to,
            form=SeenToForm,
        ),
    ]
}
