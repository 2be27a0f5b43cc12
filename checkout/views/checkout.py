"""The checkout: shows the form, and turns one press of its button or twenty into one order."""

import logging
import math
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import fields
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from checkout.access import OrderHidden, give_access, is_own
from checkout.cart import ArticleGone, CartBasket, CartChanged, is_there
from checkout.catalogue.amounts import AmountRefused
from checkout.catalogue.stock import OutOfStock
from checkout.forms import CheckoutForm
from checkout.middleware.lost_connections import over_a_living_connection
from checkout.ordered_before import (
    is_answered,
    note_order_was_looked_at,
    order_asked_about,
    order_to_ask_about,
    signed_answer,
)
from checkout.orders.limits.limits import Visitor, wait_before_placing
from checkout.orders.mail.enqueue import queue_link
from checkout.orders.models import Order
from checkout.orders.placing.find_order import find_order, find_order_and_similar
from checkout.orders.placing.place import (
    PATIENCE_SECONDS,
    PlacingUnavailable,
    absorb_resubmission,
    place_order,
)
from checkout.orders.placing.purchase import (
    Customer,
    PlaceOrder,
    QuoteRefused,
    TotalChanged,
    digest,
)
from checkout.orders.restoring.restores import is_from_before_a_restore
from checkout.out_of_use import may_be_of_a_lost_order
from checkout.refused_forms import typed_in, why_refused
from checkout.runtime.clock import database_now
from checkout.runtime.database import CONNECTION_ERRORS
from checkout.runtime.faultpoints import fault_points
from checkout.runtime.retry import pauses
from checkout.tokens import CheckoutToken, TokenRefused
from checkout.views import notices
from checkout.views.checkout_page import CheckoutPage, Question
from checkout.views.error_pages import error_page
from checkout.views.see_other import HttpResponseSeeOther
from checkout.visitor import visitor_of

logger = logging.getLogger(__name__)

# The name of the button that asks for the total, and does not order.
UPDATE_TOTAL = "update_total"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def checkout(request: HttpRequest) -> HttpResponse:
    if request.method == "POST" and UPDATE_TOTAL in request.POST:
        return _show_total(request, "checkout/checkout.html")
    if request.method == "POST":
        return _submit_over_a_living_connection(request)
    page = CheckoutPage(request, CheckoutForm(), database_now())
    if page.cart and page.cart.closed_at and (order := find_order(page.cart.pk)):
        return _lead_to(request, order)  # bought already: never offered a second time
    if not page.lines:
        return redirect("cart")
    page.form.initial = {"country": settings.SHOP_COUNTRY} | _known(request)
    if page.cart and may_be_of_a_lost_order(page.cart, now=page.now):
        return page.show(notices.records_were_restored())
    return page.show()


@never_cache
@require_POST
def checkout_total(request: HttpRequest) -> HttpResponse:
    """The parts of the page that change with the total, for the page's script."""
    return _show_total(request, "checkout/total.html")


def _show_total(request: HttpRequest, template: str) -> HttpResponse:
    """The total for what is chosen and typed so far. Nothing is written."""
    page = CheckoutPage(request, CheckoutForm(request.POST), database_now())
    if page.cart and page.cart.closed_at and (order := find_order(page.cart.pk)):
        return _lead_to(request, order)
    return page.show_total(template)


def _known(request: HttpRequest) -> dict[str, Any]:
    """What a customer who is signed in typed for their last order, so that they need not again."""
    if not isinstance(request.user, User):
        return {}
    last = Order.objects.filter(customer=request.user).order_by("-id").first()
    if last is None:
        return {"email": request.user.email}
    known = {field.name: getattr(last, field.name) for field in fields(Customer)}
    billing = known.pop("billing") or {}
    return known | {f"billing_{name}": value for name, value in billing.items()}


def _submit_over_a_living_connection(request: HttpRequest) -> HttpResponse:
    """The database may restart at any step, also at the first, which reads the session. Then all of
    it is done again: with the same token it is the same purchase."""
    for pause in pauses(first=0.1, longest=0.5, within=PATIENCE_SECONDS):
        try:
            return _submit(CheckoutPage(request, CheckoutForm(request.POST), database_now()))
        except CONNECTION_ERRORS:
            logger.warning("A press lost its database connection", exc_info=True)
            connection.close()
            time.sleep(pause)
    logger.error("A purchase could not be looked up or stored")
    return _unavailable(CheckoutPage(request, CheckoutForm(request.POST), database_now()))


def _submit(page: CheckoutPage) -> HttpResponse:
    request, form, now = page.request, page.form, page.now
    try:
        with fault_points("token verified"):
            token = page.read_token()
    except TokenRefused:
        return page.show(notices.token_refused(), status=400)
    if token.total_minor == 0:
        form.needs_method = False  # the page asked for none
    digests = _content_digests(request, token)
    is_valid = form.is_valid()

    # This comes before any check that could refuse: a used token leads to its order, for ever.
    found = find_order_and_similar(
        token.checkout_id,
        basket_digest=token.basket_digest,
        email=form.cleaned_data.get("email", ""),
        customer_id=request.user.pk,
        now=now,
    )
    if found.order:
        absorb_resubmission(found.order, digests, now=now)
        return _lead_to(request, found.order)

    if token.has_expired(now):
        return page.show(notices.page_expired(), status=409)
    if not is_valid:
        return page.show(status=422)
    visitor = visitor_of(request)
    if wait := wait_before_placing(visitor, now=now):
        return _put_off(page, wait)
    similar = order_to_ask_about(
        found.similar, request.session, typed=form.cleaned_data, customer_id=request.user.pk
    )
    if similar and not is_answered(request.POST.get("again", ""), similar, token.checkout_id):
        return _ask_about(page, similar, token)
    return _place(page, token, _purchase(page, token, digests, visitor, similar))


# The fields that the digests of orders from before delivery and codes were made of.
FIELDS_OF_VERSION_1 = (
    *("email", "full_name", "address", "city", "postcode", "country"),
    "payment_method",
)


def _content_digests(request: HttpRequest, token: CheckoutToken) -> tuple[str, str]:
    """Made of the raw fields, so that a repetition which fails the form's checks has one too. The
    first is what this release stores. The second is by the rule of the release before: an order
    that it stored is repeated by a form whose other fields that rule does not know."""
    seen: dict[str, object] = {"cart_version": token.cart_version, "total": token.total_minor}

    def content(names: Iterable[str]) -> dict[str, object]:
        return {name: request.POST.get(name, "").strip() for name in names}

    typed = content(CheckoutForm.base_fields)
    if typed["gateway"]:
        typed |= content([f"{typed['gateway']}-payment_method"])
    else:
        del typed["gateway"]  # as the release before made it, which knew no such field
    now = digest(typed | seen | {"version": 2})
    return now, digest(content(FIELDS_OF_VERSION_1) | seen)


def _purchase(
    page: CheckoutPage,
    token: CheckoutToken,
    digests: tuple[str, ...],
    visitor: Visitor,
    similar: Order | None,
) -> PlaceOrder:
    typed = page.form.cleaned_data
    content_digest, *earlier_digests = digests
    return PlaceOrder(
        checkout_id=token.checkout_id,
        customer=Customer.typed(typed),
        gateway=typed["gateway"],
        payment_method=typed["payment_method"],
        currency=token.currency,
        content_digest=content_digest,
        earlier_digests=tuple(earlier_digests),
        delivery_method=page.terms.delivery_method,
        code=page.terms.code,
        customer_id=page.request.user.pk,
        language=get_language() or "",
        again_of=similar,
        from_session=visitor.session,
        from_address=visitor.address,
    )


def _place(page: CheckoutPage, token: CheckoutToken, wanted: PlaceOrder) -> HttpResponse:
    try:
        order = place_order(wanted, CartBasket(token, page.now), now=page.now)
    except CartChanged:
        if is_from_before_a_restore(token.issued_at):
            return page.show(notices.records_restored(), status=409)
        return page.show(notices.cart_changed(token.total, page.total), status=409)
    except ArticleGone:
        return page.show(notices.article_gone(token.total, page.lines, page.total), status=409)
    except TotalChanged as changed:
        return page.show(notices.total_changed(token, changed.quote), status=409)
    except QuoteRefused as refused:
        return page.show_refused(refused.refusals)
    except AmountRefused as refused:
        return page.show(notices.total_not_payable(refused.refusal), status=422)
    except OutOfStock as short:
        return page.show(notices.out_of_stock(short.product_ids), status=409)
    except PlacingUnavailable:
        if _is_cart_lost(token):
            return page.show(notices.records_restored(), status=409)
        return _unavailable(page)
    return _lead_to(page.request, order)


def _is_cart_lost(token: CheckoutToken) -> bool:
    """Whether the form is of a cart that a restored backup does not have."""
    try:
        return is_from_before_a_restore(token.issued_at) and not is_there(token.checkout_id)
    except CONNECTION_ERRORS:  # so the database is what is missing
        return False


def _put_off(page: CheckoutPage, wait: timedelta) -> HttpResponse:
    """The token is kept: if another press places its order meanwhile, this one leads to it."""
    seconds = math.ceil(wait.total_seconds())
    response = page.show(notices.too_many_orders(seconds), status=429, keeps_token=True)
    response.headers["Retry-After"] = str(seconds)
    return response


def _unavailable(page: CheckoutPage) -> HttpResponse:
    response = page.show_without_database(notices.not_stored())
    response.headers["Retry-After"] = "10"
    return response


def _ask_about(page: CheckoutPage, similar: Order, token: CheckoutToken) -> HttpResponse:
    question = Question(
        signed_answer(similar, token.checkout_id),
        similar.placed_at if is_own(page.request, similar) else None,
    )
    return page.show(status=409, keeps_token=True, question=question)


@require_POST
def see_similar_order(request: HttpRequest) -> HttpResponse:
    """No other order is wanted: leads to the one that is there, or mails its link if this browser
    has not shown that it is the same customer's."""
    order = order_asked_about(request.POST.get("answer", ""))
    if order is None:
        raise OrderHidden
    now = database_now()
    note_order_was_looked_at(order, now=now)
    if is_own(request, order):
        return HttpResponseSeeOther(reverse("order", args=[order.reference]))
    queue_link(order.number, order.email, now=now)
    return HttpResponseSeeOther(reverse("order_find_sent"))


@over_a_living_connection
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A login in another tab changes the secret that Django's CSRF check compares with. What was
    typed and the purchase's token stay, so one more press completes the purchase."""
    headline, why = why_refused(reason)
    if request.path != reverse("checkout") or request.method != "POST":
        nothing_done = _(
            "Nothing was changed, ordered or charged. Go back, reload the page and try again."
        )
        return error_page(
            request,
            status=403,
            headline=headline,
            sentence=f"{why} {nothing_done}",
            typed=typed_in(request.POST),
        )
    page = CheckoutPage(request, CheckoutForm(request.POST), database_now())
    with suppress(TokenRefused):
        if order := find_order(page.read_token().checkout_id):
            return _lead_to(request, order)
    return page.show(notices.press_refused(headline, why), status=403, keeps_token=True)


def _lead_to(request: HttpRequest, order: Order) -> HttpResponse:
    give_access(request.session, order)  # however many purchases ago it was placed from here
    return HttpResponseSeeOther(reverse("order", args=[order.reference]))
