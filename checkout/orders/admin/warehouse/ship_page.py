"""The page on which a clerk writes down that a parcel was sent."""

import secrets
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import override

from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.admin.reason import StaffForm
from checkout.orders.admin.warehouse.parcels import parcels_of
from checkout.orders.dispatch.ship import ship
from checkout.orders.dispatch.to_send import orders_to_send
from checkout.orders.dispatch.tracking_file import tidy_tracking
from checkout.orders.models import Order, OrderLine
from checkout.orders.postal_address import postal_lines
from checkout.orders.states import SENDABLE
from checkout.runtime.clock import database_now
from checkout.user_input.whole_numbers import WholeNumberField

# More than any order has of one product.
MOST_PIECES = 9_999_999


def new_key() -> str:
    return secrets.token_urlsafe(24)


class TrackingField(forms.Field):
    """No text field, for those are looked through for card numbers: one in ten tracking numbers of
    sixteen digits would pass for one."""

    def to_python(self, value: Any) -> str:
        try:
            return tidy_tracking(str(value or ""))
        except ValueError as error:
            raise ValidationError(str(error)) from None


class ParcelForm(StaffForm):
    # The key is made with the page: the same page sent twice is one parcel.
    key = forms.RegexField(r"^[\w-]{32}$", widget=forms.HiddenInput, initial=new_key)
    tracking_number = TrackingField(required=False, help_text="As the carrier's label has it.")
    method = forms.CharField(
        label="Delivery",
        max_length=80,
        required=False,
        help_text="Its customer reads this beside the tracking number.",
    )

    def __init__(self, *args: Any, order: Order, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["method"].initial = order.delivery_name
        # `ship` judges how many may go: a page that is sent twice finds none left.
        every = list(order.lines.all())
        self.lines = [line for line in every if line.to_send or (self.is_bound and line.shipped)]
        for line in self.lines:
            self.fields[_field_of(line)] = WholeNumberField(
                label=f"{line.name} ({line.sku})",
                min_value=0,
                max_value=MOST_PIECES,
                initial=line.to_send,
                required=False,
                help_text=f"Pieces in this parcel, of {line.to_send} to be sent.",
            )
        self.order_fields([_field_of(line) for line in self.lines])

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        pieces = {line.pk: typed.pop(_field_of(line), 0) for line in self.lines}
        return typed | {"quantities": {pk: each for pk, each in pieces.items() if each}}


def _field_of(line: OrderLine) -> str:
    return f"pieces_{line.pk}"


def answer_ship_page(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, order: Order
) -> HttpResponse:
    """Ask, or send. Only a POST does anything; what it meets is told to whoever was later."""
    form = ParcelForm(request.POST or None, order=order)
    if request.method == "POST" and form.is_valid():
        assert isinstance(request.user, User)  # noqa: S101 - for the type checker
        by, now = request.user.get_username(), database_now()
        try:
            parcel = ship(order, **form.cleaned_data, by=by, now=now)
        except ActionImpossible as error:
            form.add_error(None, str(error))
            order.refresh_from_db()
        else:
            told = f"{parcel.event.reason} (order {order.number})."
            model_admin.message_user(request, told, messages.SUCCESS)
            return redirect(reverse("admin:orders_ordertosend_ship", args=[order.pk]))
    context = {
        "title": f"Send order {order.number}",
        "opts": model_admin.opts,
        "form": form,
        "is_sendable": order.status in SENDABLE and not order.is_held,
        **what_is_so(order),
    }
    return TemplateResponse(
        request, "orders/admin_ship.html", model_admin.admin_site.each_context(request) | context
    )


def what_is_so(order: Order) -> dict[str, Any]:
    lines = list(order.lines.all())
    with override("en"):  # the country's name, as all words of these pages
        address = postal_lines(order)
    return {
        "order": order,
        "address": address,
        "lines": lines,
        "left": sum(line.to_send for line in lines),
        "parcels": parcels_of(order, now=database_now()),
        "next": next_to_send(order),
    }


def next_to_send(order: Order) -> Order | None:
    """The one after it, or the oldest when this was the newest."""
    others = orders_to_send().exclude(pk=order.pk)
    return others.filter(pk__gt=order.pk).first() or others.first()
