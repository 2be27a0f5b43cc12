"""Withdrawing from a contract, as EU law asks (2011/83/EU, Article 11a): filled in, shown again
with a button that confirms it, and recorded once.

The second step's page carries the statement and its key, signed: what is confirmed is what was
shown, however often the button is pressed. No page tells whether there is such an order.
"""

import math
import re
import secrets
from dataclasses import asdict, astuple
from datetime import datetime

from django.conf import settings
from django.core import signing
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import get_language
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from checkout.access import may_see
from checkout.forms import WithdrawalForm
from checkout.orders.limits.limits import wait_before_withdrawing
from checkout.orders.models import Order
from checkout.orders.withdrawals.state import Stated, state_withdrawal, stated_before
from checkout.runtime.clock import database_now
from checkout.views.error_pages import wait_in_words
from checkout.views.see_other import HttpResponseSeeOther
from checkout.visitor import visitor_of

STATEMENT_SALT = "withdrawal.statement.v1"
RECEIVED_SALT = "withdrawal.received.v1"

REFERENCE = re.compile(r"[A-Za-z0-9_-]{22}")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def withdrawal(request: HttpRequest) -> HttpResponse:
    _must_be_offered()
    if request.method != "POST":
        return _show_form(request, WithdrawalForm(initial=_of_a_visible_order(request)))
    if "statement" in request.POST:
        return _second_step(request)
    form = WithdrawalForm(request.POST)
    if not form.is_valid():
        return _show_form(request, form, status=422)
    return _show_again(request, Stated(**form.cleaned_data), key=secrets.token_urlsafe(24))


@never_cache
@require_safe
def withdrawal_received(request: HttpRequest, signed: str) -> HttpResponse:
    """The page is made from its address alone, so that both of two presses lead to the same one."""
    _must_be_offered()
    try:
        stated_at = datetime.fromisoformat(_receipt().unsign_object(signed))
    except (signing.BadSignature, TypeError, ValueError):
        raise Http404 from None
    return render(request, "withdrawal/received.html", {"stated_at": stated_at})


def _must_be_offered() -> None:
    if not settings.WITHDRAWAL_FORM:
        raise Http404


def _of_a_visible_order(request: HttpRequest) -> dict[str, str]:
    """What the order's page shows this visitor anyway; nothing of an order that is not theirs."""
    reference = REFERENCE.fullmatch(request.GET.get("order", ""))
    order = Order.objects.filter(reference=reference[0]).first() if reference else None
    if order is None or not may_see(request, order):
        return {}
    return {"number": order.number, "full_name": order.full_name, "email": order.email}


def _second_step(request: HttpRequest) -> HttpResponse:
    read = _read(request.POST["statement"])
    if read is None:
        return _show_form(request, WithdrawalForm(), status=422, is_unreadable=True)
    key, stated = read
    if "change" in request.POST:
        return _show_form(request, WithdrawalForm(initial=asdict(stated)))
    now = database_now()
    # A press that only repeats another is not counted: it writes nothing.
    stated_at = stated_before(key)
    if stated_at is None:
        if wait := wait_before_withdrawing(visitor_of(request), now=now):
            return _show_again(request, stated, key=key, wait_seconds=wait.total_seconds())
        language = get_language() or ""
        stated_at = state_withdrawal(stated, key=key, language=language, now=now)
    signed = _receipt().sign_object(stated_at.isoformat())
    return HttpResponseSeeOther(reverse("withdrawal_received", args=[signed]))


def _show_form(
    request: HttpRequest, form: WithdrawalForm, *, status: int = 200, is_unreadable: bool = False
) -> HttpResponse:
    context = {"form": form, "is_unreadable": is_unreadable}
    return render(request, "withdrawal/form.html", context, status=status)


def _show_again(
    request: HttpRequest, stated: Stated, *, key: str, wait_seconds: float = 0
) -> HttpResponse:
    seconds = math.ceil(wait_seconds)
    context = {
        "stated": stated,
        "statement": signing.dumps([key, *astuple(stated)], salt=STATEMENT_SALT),
        "wait": wait_in_words(seconds) if seconds else "",
    }
    response = render(request, "withdrawal/confirm.html", context, status=429 if seconds else 200)
    if seconds:
        response.headers["Retry-After"] = str(seconds)
    return response


def _read(statement: str) -> tuple[str, Stated] | None:
    """The key and what was shown. A page of any age may be confirmed."""
    try:
        key, number, full_name, email, about = signing.loads(statement, salt=STATEMENT_SALT)
    except (signing.BadSignature, TypeError, ValueError):
        return None
    return key, Stated(number=number, full_name=full_name, email=email, about=about)


def _receipt() -> signing.Signer:
    return signing.Signer(salt=RECEIVED_SALT)
