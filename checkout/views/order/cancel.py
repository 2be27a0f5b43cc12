"""The page on which a customer cancels an order: it says what will happen, and does it once."""

from enum import StrEnum

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from checkout.access import own_order
from checkout.catalogue.money import money
from checkout.orders.cancelling import (
    CannotCancel,
    can_be_cancelled,
    cancel_paid,
    customer_can_cancel_paid,
    give_up,
)
from checkout.orders.models import Order
from checkout.orders.money.facts import facts_about
from checkout.orders.states import WAS_SENT, Canceller, OrderStatus
from checkout.runtime.clock import database_now
from checkout.views.order.status_words import is_being_cancelled
from checkout.views.see_other import HttpResponseSeeOther


class Way(StrEnum):
    UNPAID = "unpaid"  # the worker closes its payment, and nothing goes back
    PAID = "paid"  # it is cancelled at once, and the worker sends the money back or sets it free


def way_to_cancel(order: Order) -> Way | None:
    """How its customer can cancel the order now; None where they cannot, or have done so."""
    if order.erased_at or is_being_cancelled(order):
        return None
    if can_be_cancelled(order):
        return Way.UNPAID
    return Way.PAID if customer_can_cancel_paid(order) else None


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: HttpRequest, reference: str) -> HttpResponse:
    order = own_order(request, reference)
    if request.method != "POST":
        return redirect("order", reference) if _is_done(order) else _show(request, order)
    is_as_shown = way_to_cancel(order) == request.POST.get("way")
    if _is_done(order) or (is_as_shown and _cancel(order)):
        return HttpResponseSeeOther(reverse("order", args=[reference]))
    order.refresh_from_db()
    # Another press in the same moment may have done it.
    if _is_done(order):
        return HttpResponseSeeOther(reverse("order", args=[reference]))
    return _show(request, order, was_refused=True)


def _is_done(order: Order) -> bool:
    is_cancelled = order.status == OrderStatus.CANCELLED or order.is_cancelled_and_paid
    return is_cancelled or is_being_cancelled(order)


def _cancel(order: Order) -> bool:
    """False where the order is another than the page has shown, and nothing was changed."""
    now = database_now()
    if way_to_cancel(order) is Way.UNPAID:
        return give_up(order, now=now)
    try:
        cancel_paid(order, Canceller.CUSTOMER, by="", why="", now=now)
    except CannotCancel:
        return False
    return True


def _show(request: HttpRequest, order: Order, *, was_refused: bool = False) -> HttpResponse:
    way, moved = way_to_cancel(order), facts_about(order).moved
    goes_back_minor = moved.charged_minor - moved.sent_back_minor - moved.going_back_minor
    context = {
        "order": order,
        "lines": order.lines.all(),
        "way": way,
        "was_refused": was_refused,
        "goes_back": money(goes_back_minor, order.currency),
        "set_free": money(moved.set_aside_minor, order.currency),
        "why_not": "" if way else _why_not(order),
    }
    status = 409 if was_refused else 200
    response = render(request, "orders/cancel.html", context, status=status)
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def _why_not(order: Order) -> str:
    """A sentence for the customer. What their bank has told us of a dispute stays with the shop."""
    if order.status == OrderStatus.PLACED:
        return _(
            "Your payment is being confirmed with your bank just now. As soon as your bank has "
            "answered, you can cancel the order."
        )
    if order.dispatch_status in WAS_SENT:
        return _("It has been sent, or a part of it, so it can no longer be cancelled.")
    if order.status == OrderStatus.REFUNDED:
        return _("Your payment was refunded, so there is nothing left to cancel.")
    return _("It can no longer be cancelled here. Please write to the shop if you do not want it.")
