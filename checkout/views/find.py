"""How customers get back to an order: by the link in its e-mails, or by asking for that link."""

from contextlib import suppress

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from checkout.access import OrderHidden, give_access
from checkout.forms import FindOrderForm
from checkout.orders.limits.limits import wait_before_looking_up
from checkout.orders.links import Opener, read_link
from checkout.orders.mail.account import queue_account_mail
from checkout.orders.models import AccountMail, Order
from checkout.runtime.clock import database_now
from checkout.views.error_pages import too_many_requests
from checkout.views.see_other import HttpResponseSeeOther
from checkout.visitor import visitor_of


@never_cache
@require_safe
def open_link(request: HttpRequest, token: str) -> HttpResponse:
    """Redirects, so that the link does not stay in address bar, history and Referer header."""
    opener = read_link(token)
    order = Order.objects.filter(reference=opener.reference).first() if opener else None
    if order is None or opener != Opener.of(order):
        raise OrderHidden
    give_access(request.session, order)
    return HttpResponseSeeOther(_page_behind_the_link(request, order))


def _page_behind_the_link(request: HttpRequest, order: Order) -> str:
    """The order's page, or that of the invoice that the mail was about."""
    if number := request.GET.get("invoice"):
        with suppress(NoReverseMatch):  # it was not written by this shop
            return reverse("invoice", args=[order.reference, number])
    return reverse("order", args=[order.reference])


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def find_order(request: HttpRequest) -> HttpResponse:
    """Responds alike whether there is such an order or not; only its owner is told, by mail."""
    if request.method != "POST":
        return render(request, "orders/find.html", {"form": FindOrderForm()})
    now = database_now()
    # The limit comes before the form is looked at, so that it tells nothing about the order either.
    if wait := wait_before_looking_up(visitor_of(request), now=now):
        return too_many_requests(request, wait.total_seconds())
    form = FindOrderForm(request.POST)
    if not form.is_valid():
        return render(request, "orders/find.html", {"form": form}, status=422)
    queue_account_mail(
        AccountMail.Kind.FIND_ORDER,
        form.cleaned_data["email"],
        number=form.cleaned_data["number"],
        now=now,
    )
    return HttpResponseSeeOther(reverse("order_find_sent"))


@never_cache
@require_safe
def link_sent(request: HttpRequest) -> HttpResponse:
    return render(request, "orders/find_sent.html")
