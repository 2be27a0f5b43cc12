"""The checkout page: show the form, and turn one press or twenty into one order."""

import logging
import math
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from moneyed import Money

from checkout.access import OrderHidden, give_access, is_own
from checkout.cart import (
    ArticleGone,
    CartBasket,
    CartChanged,
    PriceChanged,
    cart_lines,
    session_cart,
    session_nonce,
)
from checkout.catalogue.amounts import AmountRefused, refusal_of
from checkout.catalogue.models import Product
from checkout.catalogue.money import money, show_money
from checkout.catalogue.stock import OutOfStock
from checkout.forms import CheckoutForm
from checkout.middleware.lost_connections import over_a_living_connection
from checkout.models import Cart, CartLine, lines_total
from checkout.ordered_before import (
    is_answered,
    look_up,
    note_twin_was_looked_at,
    question_about,
    twin_asked_about,
)
from checkout.orders.limits.limits import Visitor, wait_before_placing
from checkout.orders.mail.enqueue import queue_link
from checkout.orders.models import Order
from checkout.orders.placing.place import (
    PATIENCE_SECONDS,
    Customer,
    PlaceOrder,
    PlacingUnavailable,
    absorb_resubmission,
    basket_digest,
    digest,
    find_order,
    place_order,
)
from checkout.refused_forms import typed_in, why_refused
from checkout.runtime.clock import database_now
from checkout.runtime.database import CONNECTION_ERRORS
from checkout.runtime.faultpoints import fault_points
from checkout.runtime.retry import pauses
from checkout.tokens import CheckoutToken, TokenRefused, issue_token, read_token
from checkout.views.error_pages import error_page, wait_in_words
from checkout.views.notices import Notice, amount_notice
from checkout.views.see_other import HttpResponseSeeOther
from checkout.visitor import visitor_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Question:
    """Whether another order like this one is wanted."""

    answer: str  # what the form sends back if it is
    placed_at: datetime | None  # None: whoever is asked has not shown that it is their order


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def checkout(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return _submit_on_a_living_connection(request)
    cart = session_cart(request.session)
    if cart and cart.closed_at and (order := find_order(cart.pk)):
        return _lead_to(request, order)  # bought already: never offered a second time
    if not cart_lines(cart):
        return redirect("cart")
    return _show_form(request, CheckoutForm(initial=_known(request)), now=database_now())


def _submit_on_a_living_connection(request: HttpRequest) -> HttpResponse:
    """The database may restart at any step of a press, the first of which reads the session. All of
    it may be done again: its token makes it the same press."""
    for pause in pauses(first=0.1, longest=0.5, within=PATIENCE_SECONDS):
        try:
            return _submit(request, now=database_now())
        except CONNECTION_ERRORS:
            logger.warning("A press lost its database connection", exc_info=True)
            connection.close()
            time.sleep(pause)
    logger.error("A purchase could not be looked up or stored")
    return _unavailable(request, CheckoutForm(request.POST))


def _known(request: HttpRequest) -> dict[str, str]:
    """What somebody who is signed in need not type again: as in their last order."""
    if not isinstance(request.user, User):
        return {}
    last = Order.objects.filter(customer=request.user).order_by("-id").first()
    if last is None:
        return {"email": request.user.email}
    return {
        name: getattr(last, name) for name in CheckoutForm.base_fields if name != "payment_method"
    }


@over_a_living_connection
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A login in another tab changes the secret this check compares with. What was typed and the
    purchase's token stay, so one more press completes it."""
    headline, why = why_refused(reason)
    if request.path != reverse("checkout") or request.method != "POST":
        return error_page(
            request,
            status=403,
            headline=headline,
            sentence=why
            + " "
            + _("Nothing was changed, ordered or charged. Go back, reload the page and try again."),
            typed=typed_in(request.POST),
        )
    posted = request.POST.get("token", "")
    try:
        token = read_token(posted, nonce=session_nonce(request.session))
    except TokenRefused:
        pass
    else:
        if order := find_order(token.checkout_id):
            return _lead_to(request, order)
    kept = _(
        "Nothing was ordered or charged by this press, and everything you typed is still here: "
        "then press the button again."
    )
    return _show_form(
        request,
        CheckoutForm(request.POST),
        now=database_now(),
        notice=Notice(headline, f"{why} {kept}"),
        status=403,
        token=posted,
    )


def _submit(request: HttpRequest, *, now: datetime) -> HttpResponse:
    form = CheckoutForm(request.POST)
    try:
        with fault_points("token verified"):
            token = read_token(request.POST.get("token", ""), nonce=session_nonce(request.session))
    except TokenRefused:
        return _refused(request, form, now=now)

    if token.total_minor == 0:
        form.fields["payment_method"].required = False  # the form asked for none

    # Before anything else may stand in the way: a used token leads to its order, for ever.
    content_digest = _content_digest(request, token)
    is_valid = form.is_valid()
    known = look_up(
        request.session,
        checkout_id=token.checkout_id,
        basket_digest=token.basket_digest,
        typed=form.cleaned_data,
        customer_id=request.user.pk,
        now=now,
    )
    if known.order:
        absorb_resubmission(known.order, content_digest, now=now)
        return _lead_to(request, known.order)

    if token.has_expired(now):
        return _expired(request, form, now=now)
    if not is_valid:
        return _show_form(request, form, now=now, status=422)
    visitor = visitor_of(request)
    if wait := wait_before_placing(visitor, now=now):
        return _put_off(request, form, wait, now=now)
    twin = known.twin
    if twin and not is_answered(request.POST.get("again", ""), twin, token.checkout_id):
        return _ask_about(request, form, twin, token, now=now)
    return _place(request, form, token, content_digest, visitor, twin, now=now)


def _place(
    request: HttpRequest,
    form: CheckoutForm,
    token: CheckoutToken,
    content_digest: str,
    visitor: Visitor,
    twin: Order | None,
    *,
    now: datetime,
) -> HttpResponse:
    typed = dict(form.cleaned_data)
    payment_method = typed.pop("payment_method")
    wanted = PlaceOrder(
        checkout_id=token.checkout_id,
        customer=Customer(**typed),
        payment_method=payment_method,
        currency=token.currency,
        content_digest=content_digest,
        customer_id=request.user.pk,
        language=get_language() or "",
        again_of=twin,
        from_session=visitor.session,
        from_address=visitor.address,
    )
    try:
        order = place_order(wanted, CartBasket(token, now), now=now)
    except CartChanged:
        return _not_as_seen(
            request, form, token, _("Your cart was changed in another tab"), now=now
        )
    except ArticleGone:
        return _article_gone(request, form, token, now=now)
    except PriceChanged:
        return _not_as_seen(request, form, token, _("A price has changed"), now=now)
    except AmountRefused as refused:
        notice = amount_notice(refused.refusal)
        return _show_form(request, form, now=now, notice=notice, status=422)
    except OutOfStock as short:
        return _out_of_stock(request, form, short, now=now)
    except PlacingUnavailable:
        return _unavailable(request, form)
    return _lead_to(request, order)


def _content_digest(request: HttpRequest, token: CheckoutToken) -> str:
    """Over what was typed and what was shown. Taken from the raw fields, so that a repeat can be
    compared even if it would not pass the form's checks."""
    content = {name: request.POST.get(name, "").strip() for name in CheckoutForm.base_fields}
    return digest(content | {"cart_version": token.cart_version, "total": token.total_minor})


def _show_form(
    request: HttpRequest,
    form: CheckoutForm,
    *,
    now: datetime,
    notice: Notice | None = None,
    status: int = 200,
    token: str | None = None,
    question: Question | None = None,
) -> HttpResponse:
    """The form for the session's cart as it is now, with a token that says what the form shows."""
    cart = session_cart(request.session)
    lines = cart_lines(cart)
    total = lines_total(lines, settings.SHOP_CURRENCY)
    if notice is None and (
        refusal := refusal_of(total.get_amount_in_sub_unit(), settings.SHOP_CURRENCY)
    ):
        notice = amount_notice(refusal)  # said before anything is typed
    if cart and lines and not _is_to_be_kept(token, request, cart, lines, total):
        token = _fresh_token(request, cart, lines, total, now=now)
    return _render_form(
        request,
        form,
        lines,
        total,
        notice,
        status,
        token or "",
        question,
        signed_in_as=request.user.get_username(),
    )


def _fresh_token(
    request: HttpRequest, cart: Cart, lines: list[CartLine], total: Money, *, now: datetime
) -> str:
    nonce = session_nonce(request.session)
    if nonce is None:
        return ""
    return issue_token(
        checkout_id=cart.pk,
        nonce=nonce,
        cart_version=cart.version,
        total_minor=total.get_amount_in_sub_unit(),
        currency=settings.SHOP_CURRENCY,
        basket_digest=basket_digest((line.product_id, line.quantity) for line in lines),
        now=now,
    )


def _is_to_be_kept(
    token: str | None, request: HttpRequest, cart: Cart, lines: list[CartLine], total: Money
) -> bool:
    """Whether the token that was sent goes back into the form. One of this cart that showed another
    total does not: should the price return, the total of a page that is gone would be charged. A
    fresh one is of the same cart, so it is the same purchase."""
    if token is None:
        return False
    try:
        sent = read_token(token, nonce=session_nonce(request.session))
    except TokenRefused:
        return True
    goods = basket_digest((line.product_id, line.quantity) for line in lines)
    shown = (sent.cart_version, sent.total_minor, sent.currency, sent.basket_digest)
    now = (cart.version, total.get_amount_in_sub_unit(), settings.SHOP_CURRENCY, goods)
    return sent.checkout_id != cart.pk or shown == now


def _render_form(
    request: HttpRequest,
    form: CheckoutForm,
    lines: list[CartLine],
    total: Money,
    notice: Notice | None,
    status: int,
    token: str,
    question: Question | None = None,
    signed_in_as: str = "",
) -> HttpResponse:
    context = {
        "form": form,
        "token": token,
        "lines": lines,
        "total": total,
        "notice": notice,
        "has_reference": status in {429, 503},
        "question": question,
        "signed_in_as": signed_in_as,
        "can_place": bool(lines) and all(line.is_available for line in lines),
        "payment_method_template": settings.PAYMENT_METHOD_TEMPLATE,
    }
    return render(request, "checkout/checkout.html", context, status=status)


def _ask_about(
    request: HttpRequest, form: CheckoutForm, twin: Order, token: CheckoutToken, *, now: datetime
) -> HttpResponse:
    return _show_form(
        request,
        form,
        now=now,
        status=409,
        token=request.POST.get("token", ""),
        question=Question(
            question_about(twin, token.checkout_id),
            twin.placed_at if is_own(request, twin) else None,
        ),
    )


@require_POST
def see_twin(request: HttpRequest) -> HttpResponse:
    """The other answer: to the order that is there already, or to its link in the mail where this
    browser has not shown that it is the same customer's."""
    twin = twin_asked_about(request.POST.get("answer", ""))
    if twin is None:
        raise OrderHidden
    now = database_now()
    note_twin_was_looked_at(twin, now=now)
    if is_own(request, twin):
        return HttpResponseSeeOther(reverse("order", args=[twin.reference]))
    queue_link(twin.number, twin.email, now=now)
    return HttpResponseSeeOther(reverse("order_find_sent"))


def _refused(request: HttpRequest, form: CheckoutForm, *, now: datetime) -> HttpResponse:
    notice = Notice(
        _("This form does not belong to your current visit"),
        _(
            "It may have been opened before you signed out, or in another browser. Nothing was "
            "ordered or charged by sending it. If you ordered before, look at that order's page "
            "first. Otherwise check your cart and press the button again."
        ),
    )
    return _show_form(request, form, now=now, notice=notice, status=400)


def _expired(request: HttpRequest, form: CheckoutForm, *, now: datetime) -> HttpResponse:
    notice = Notice(
        _("This page was open for a long time"),
        _(
            "So we looked at your cart again. Nothing was ordered or charged yet. If everything "
            "below is right, press the button once more."
        ),
    )
    return _show_form(request, form, now=now, notice=notice, status=409)


def _not_as_seen(
    request: HttpRequest, form: CheckoutForm, token: CheckoutToken, headline: str, *, now: datetime
) -> HttpResponse:
    cart = session_cart(request.session)
    was = show_money(money(token.total_minor, token.currency))
    now_is = show_money(lines_total(cart_lines(cart), settings.SHOP_CURRENCY))
    notice = Notice(
        headline,
        _(
            "The total was %(was)s when you opened this page and is %(now_is)s now. Nothing was "
            "ordered or charged. If the new total is right, press the button once more."
        )
        % {"was": was, "now_is": now_is},
    )
    return _show_form(request, form, now=now, notice=notice, status=409)


def _article_gone(
    request: HttpRequest, form: CheckoutForm, token: CheckoutToken, *, now: datetime
) -> HttpResponse:
    lines = cart_lines(session_cart(request.session))
    if not lines:
        next_ = _("Your cart is empty now.")
    elif all(line.product.is_on_sale for line in lines):
        next_ = _(
            "The total was %(was)s when you opened this page and is %(now_is)s now, for what is "
            "left. If that is right, press the button once more."
        ) % {
            "was": show_money(money(token.total_minor, token.currency)),
            "now_is": show_money(lines_total(lines, settings.SHOP_CURRENCY)),
        }
    else:
        next_ = _(
            "Take the marked article out of your cart; what you typed here is kept until you leave "
            "this page."
        )
    notice = Notice(
        _("Something in your cart is no longer sold"),
        _("It left our shelves after you chose it. Nothing was ordered or charged.") + " " + next_,
    )
    return _show_form(request, form, now=now, notice=notice, status=409)


def _out_of_stock(
    request: HttpRequest, form: CheckoutForm, short: OutOfStock, *, now: datetime
) -> HttpResponse:
    products = Product.objects.filter(pk__in=short.product_ids)
    left = ", ".join(
        (_("%(name)s: %(left)d left") if product.is_on_sale else _("%(name)s: gone"))
        % {"name": product.name, "left": product.stock}
        for product in products
    )
    notice = Notice(
        _("There is not enough left"),
        _(
            "Of what you chose less is left than you want (%(left)s). Nothing was ordered or "
            "charged. Change your cart; what you typed here is kept until you leave this page."
        )
        % {"left": left},
    )
    return _show_form(request, form, now=now, notice=notice, status=409)


def _put_off(
    request: HttpRequest, form: CheckoutForm, wait: timedelta, *, now: datetime
) -> HttpResponse:
    """The token is kept: were its order placed by another press meanwhile, this leads to it."""
    seconds = math.ceil(wait.total_seconds())
    notice = Notice(
        _("Please wait before you order"),
        _(
            "We take only so many orders, and only so many declined payments, in a given time, "
            "and that number was reached. Nothing was ordered or charged by this press, and "
            "everything you typed is still here. You can press the button again %(wait)s: it is "
            "the same purchase, placed once and charged once."
        )
        % {"wait": wait_in_words(seconds)},
    )
    token = request.POST.get("token", "")
    response = _show_form(request, form, now=now, notice=notice, status=429, token=token)
    response.headers["Retry-After"] = str(seconds)
    return response


def _unavailable(request: HttpRequest, form: CheckoutForm) -> HttpResponse:
    """Rendered without the database. The token is kept, so pressing again is the same purchase."""
    notice = Notice(
        _("We could not store your order just now"),
        _(
            "Nothing was charged by this press. Press the button again in a moment: it is the same "
            "purchase, and you cannot be charged twice for it."
        ),
    )
    total = money(0, settings.SHOP_CURRENCY)
    token = request.POST.get("token", "")
    response = _render_form(request, form, [], total, notice, 503, token)
    response.headers["Retry-After"] = "10"
    return response


def _lead_to(request: HttpRequest, order: Order) -> HttpResponse:
    give_access(request.session, order)  # however many purchases ago it was placed from here
    return HttpResponseSeeOther(reverse("order", args=[order.reference]))
