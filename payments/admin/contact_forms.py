"""What the pages ask on which staff correct an address, or write a note."""

from typing import Any

from django import forms

from checkout.orders.admin.reason import ReasonForm, reason_field
from checkout.orders.dispatch.correct_address import CORRECTABLE, address_of, digest_of_address
from checkout.orders.models import Order
from checkout.user_input.address_form import PostalAddressForm
from checkout.user_input.whole_numbers import WholeNumberField


class AddressForm(ReasonForm, PostalAddressForm):
    """The checkout's own fields and checks, for the country and the region that the order has."""

    # A digest of the address that the page showed.
    seen = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, order: Order, **kwargs: Any) -> None:
        self.unchanged = {"country": order.country, "region": order.region}
        initial = address_of(order) | {"seen": digest_of_address(order)}
        super().__init__(*args, order=order, initial=initial, **kwargs)
        for name in self.fields.keys() - {*CORRECTABLE, "seen", "why"}:
            del self.fields[name]
        self.order_fields([*CORRECTABLE, "seen", "why"])

    def clean(self) -> dict[str, Any]:
        self.cleaned_data |= self.unchanged  # by which the other fields are judged
        typed = super().clean()
        kept = {name: typed[name] for name in ("seen", "why") if name in typed}
        return kept | {"address": {name: typed.get(name, "") for name in CORRECTABLE}}


class NoteForm(ReasonForm):
    why = reason_field("Note", help_text="It stands in the order's history. No customer reads it.")
    # The last event that the page knew: the same page sent twice writes one note.
    seen = WholeNumberField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, order: Order, **kwargs: Any) -> None:
        super().__init__(*args, order=order, **kwargs)
        last = order.events.order_by("pk").last()
        self.fields["seen"].initial = last.pk if last else 0
