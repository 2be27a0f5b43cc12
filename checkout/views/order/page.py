"""The page of one order: what is going on, were you charged, what to do next."""

import math
from dataclasses import replace
from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from checkout.access import is_own, may_see, own_order, visible_order
from checkout.catalogue.money import money
from checkout.forms import PayAgainForm
from checkout.orders.attention.queries import needs_closer_look
from checkout.orders.limits.limits import wait_before_paying_again
from checkout.orders.models import Order, OrderEvent
from checkout.orders.money.facts import facts_about
from checkout.orders.money.parts import Parts
from checkout.orders.paying import can_pay_again, check_on_return, pay_again
from checkout.orders.postal_address import billing_lines, postal_lines
from checkout.orders.states import OrderStatus
from checkout.orders.ways_to_pay.web_side import web_side_of, web_sides
from checkout.runtime.clock import database_now
from checkout.views.error_pages import wait_in_words
from checkout.views.order.cancel import way_to_cancel
from checkout.views.order.parcels import lines_in_words, parcels_of
from checkout.views.order.status_words import status_words
from checkout.views.order.timeline import timeline
from checkout.views.see_other import HttpResponseSeeOther
from checkout.views.ways_to_pay import ways_to_pay
from checkout.visitor import visitor_of


@never_cache
@require_safe
def order_page(request: HttpRequest, reference: str) -> HttpResponse:
    if any(web.is_return(request.GET) for web in web_sides().values()):
        return _back_from_the_bank(request, reference)
    order = visible_order(request, reference)
    return _show_order(request, order, PayAgainForm())


def _back_from_the_bank(request: HttpRequest, reference: str) -> HttpResponse:
    """The bank's app may open another browser, which is shown the same page for every reference."""
    order = Order.objects.filter(reference=reference).first()
    if order is not None:
        if request.method == "GET":
            check_on_return(order, now=database_now())
        if may_see(request, order):
            return redirect("order", reference)
    response = render(request, "orders/returned.html")
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@never_cache
@require_safe
def order_status(request: HttpRequest, reference: str) -> HttpResponse:
    """The parts of the page that may change; its script asks for them until the status is final."""
    order = visible_order(request, reference)
    response = render(request, "orders/status.html", _what_is_going_on(request, order))
    response.headers["X-Robots-Tag"] = "noindex"
    return response


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def pay(request: HttpRequest, reference: str) -> HttpResponse:
    if request.method != "POST":  # this address was opened again after a mistake in the form
        return redirect("order", reference)
    order = own_order(request, reference)
    if order.erased_at:  # the order's customer is not known any more
        return HttpResponseSeeOther(reverse("order", args=[reference]))
    form = PayAgainForm(request.POST)
    if not form.is_valid():
        return _show_order(request, order, form, status=422)
    now, failed_round = database_now(), form.cleaned_data["failed_round"]
    # A press that only repeats another changes nothing, so it is not limited.
    if can_pay_again(order, failed_round=failed_round) and (
        wait := wait_before_paying_again(visitor_of(request), order, now=now)
    ):
        return _put_off(request, order, form, wait)
    pay_again(
        order,
        gateway=form.cleaned_data["gateway"],
        payment_method=form.cleaned_data["payment_method"],
        failed_round=failed_round,
        now=now,
    )
    return HttpResponseSeeOther(reverse("order", args=[reference]))


def _put_off(
    request: HttpRequest, order: Order, form: PayAgainForm, wait: timedelta
) -> HttpResponse:
    seconds = math.ceil(wait.total_seconds())
    response = _show_order(request, order, form, status=429, wait=wait_in_words(seconds))
    response.headers["Retry-After"] = str(seconds)
    return response


def _show_order(
    request: HttpRequest, order: Order, form: PayAgainForm, *, status: int = 200, wait: str = ""
) -> HttpResponse:
    changed_repeat = order.events.filter(kind=OrderEvent.Kind.RESUBMITTED_CHANGED)
    context = _what_is_going_on(request, order) | {
        "lines": lines_in_words(order.lines.select_related("order")),
        "deliver_to": postal_lines(order),
        "bill_to": billing_lines(order),
        "form": form,
        "wait": wait,
        "changed_repeat": changed_repeat.order_by("id").first(),
        "ways": ways_to_pay(
            form,
            country=order.country,
            total_minor=order.total_minor,
            currency=order.currency,
        ),
    }
    response = render(request, "orders/order.html", context, status=status)
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def _what_is_going_on(request: HttpRequest, order: Order) -> dict[str, object]:
    facts = facts_about(order)
    words = status_words(order, facts, now=database_now())
    is_customer = is_own(request, order)
    if not is_customer:
        words = replace(words, can_pay=False)  # staff look on
    parcels = parcels_of(order)
    is_waiting = words.can_pay and order.status == OrderStatus.ACTION_REQUIRED
    waiting = web_side_of(order).waiting(order) if is_waiting else None
    return {
        "waiting_for": waiting.facts if waiting else [],
        "continue_words": waiting.button if waiting else "",
        "order": order,
        "words": words,
        # The page is shown anew when any of these has changed.
        "shown": f"{order.status}-{order.dispatch_status}-{len(parcels)}-{words.is_final}",
        "can_cancel": is_customer and way_to_cancel(order) is not None,
        "parcels": parcels,
        "steps": timeline(order),
        "parts": Parts.of_order(order),
        "sent_back": money(facts.moved.sent_back_minor, order.currency),
        "needs_a_look": facts.status != OrderStatus.CANCELLED and needs_closer_look(order),
    }
