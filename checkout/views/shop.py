"""The pages of products and of the cart."""

import secrets

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from checkout.cart import add_to_cart, cart_lines, change_quantity, session_cart
from checkout.catalogue.models import Product
from checkout.forms import QuantityForm
from checkout.models import lines_total
from checkout.orders.placing.find_order import find_order
from checkout.texts.models import TextKind
from checkout.texts.read import known_text
from checkout.views.error_pages import error_page
from checkout.views.see_other import HttpResponseSeeOther
from checkout.visitor import client_address


def new_press() -> str:
    """A name for one showing of a page, whose buttons do their work once. Browsers do not keep the
    page, so whoever goes back and adds the same again does so from another showing."""
    return secrets.token_urlsafe(12)


@never_cache
@require_safe
def product_list(request: HttpRequest) -> HttpResponse:
    products = Product.objects.filter(is_on_sale=True)
    context = {
        "products": products,
        "press": new_press(),
        "welcome": known_text(TextKind.WELCOME),
    }
    return render(request, "checkout/product_list.html", context)


@never_cache
@require_safe
def product_page(request: HttpRequest, slug: str) -> HttpResponse:
    product = get_object_or_404(Product, slug=slug, is_on_sale=True)
    return render(request, "checkout/product.html", {"product": product, "press": new_press()})


@never_cache
@require_safe
def cart_page(request: HttpRequest) -> HttpResponse:
    cart = session_cart(request.session)
    lines = cart_lines(cart)
    context = {
        "lines": lines,
        "total": lines_total(lines, settings.SHOP_CURRENCY),
        "all_available": all(line.is_available for line in lines),
        "any_delivered": any(line.product.is_delivered for line in lines),
        "last_order": find_order(cart.pk) if cart and cart.closed_at else None,
    }
    return render(request, "checkout/cart.html", context)


def _visit(request: HttpRequest) -> str:
    """What two requests of one browser have in common before there is a session. The CSRF cookie is
    secret; address and browser are added in case a cache gives one page and cookie to many."""
    secret: str = request.META.get("CSRF_COOKIE") or ""
    known_by = (secret, client_address(request), request.headers.get("User-Agent", ""))
    return ":".join(known_by) if secret else ""


@require_POST
def cart_add(request: HttpRequest) -> HttpResponse:
    """Add a quantity, or 1 if the form has no such field. 0 and an empty field are errors."""
    form = QuantityForm(request.POST)
    if not form.is_valid():
        return _bad_quantity(request)
    quantity = form.cleaned_data["quantity"] if "quantity" in request.POST else 1
    if not quantity:
        return _bad_quantity(request)
    product = get_object_or_404(Product, sku=form.cleaned_data["sku"], is_on_sale=True)
    press = form.cleaned_data["press"]
    add_to_cart(
        request.session,
        product,
        quantity,
        visit=_visit(request),
        press=f"{press}:{product.sku}:{quantity}" if press else "",
    )
    return HttpResponseSeeOther(reverse("cart"))


@require_POST
def cart_change(request: HttpRequest) -> HttpResponse:
    """Set a quantity. The remove button sends 0."""
    form = QuantityForm(request.POST)
    if not form.is_valid() or form.cleaned_data["quantity"] is None:
        return _bad_quantity(request)
    product = get_object_or_404(Product, sku=form.cleaned_data["sku"])
    change_quantity(request.session, product, form.cleaned_data["quantity"])
    return HttpResponseSeeOther(reverse("cart"))


def _bad_quantity(request: HttpRequest) -> HttpResponse:
    return error_page(
        request,
        status=400,
        headline=_("How many?"),
        sentence=_(
            "A quantity is a whole number from 1 to 99. Your cart is as it was, and nothing "
            "was ordered."
        ),
    )
