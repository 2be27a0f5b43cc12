"""Shoppers with a full cart and the checkout page open, by the thousand.

Made with the shop's own models, sessions and tokens, in bulk: opening four pages for each would
take longer than what is measured. A test holds them against pages that were opened.
"""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib import import_module
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone

from checkout.cart import CART_KEY, NONCE_KEY
from checkout.catalogue.models import Product
from checkout.forms import CheckoutForm
from checkout.models import Cart, CartLine
from checkout.orders.placing.purchase import basket_digest
from checkout.orders.placing.quoting import Terms, work_out
from checkout.quotes.quote import Quote
from checkout.quotes.rules import Line
from checkout.tokens import CheckoutToken, issue_token
from checkout.views.terms import shown_quote
from tests.support.rules import delivery_method, tax_rate
from tests.support.shelves import on_the_shelf
from tests.support.shopper import TYPED

PRODUCTS = 1000
PRICE_MINOR = 1000
WEIGHT_GRAMS = 250

# Ids that no other number in a statement is taken for; see `statements`.
FIRST_PRODUCT = 5_000_000

# How far apart the lines of one cart are in the catalogue. With 1,000 products no cart has a
# product twice, and neighbours share none.
STRIDE = 7
LINE_STRIDE = 31

# What the form asks for and few fill in; a browser sends it all the same.
LEFT_EMPTY = [*CheckoutForm.base_fields, "region_country"]

CSRF = "bench0" * 5 + "ab"  # 32 characters, as Django makes them


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Purchase:
    """Everything of it follows from its number, so that pgbench can name it in SQL."""

    n: int
    lines: int = 3
    is_flash_sale: bool = False

    @cached_property
    def session_key(self) -> str:
        return _md5(f"s{self.n}")

    @cached_property
    def cart(self) -> uuid.UUID:
        return uuid.UUID(_md5(f"c{self.n}"))

    @cached_property
    def nonce(self) -> str:
        return _md5(f"n{self.n}")[:22]

    @property
    def email(self) -> str:
        return f"shopper{self.n}@example.com"

    @property
    def address(self) -> str:
        """The shopper's, as the load balancer tells it."""
        return f"10.{self.n >> 16 & 255}.{self.n >> 8 & 255}.{self.n & 255}"

    def product(self, line: int) -> int:
        """The id. In a flash sale the first line of every cart is the same product."""
        if self.is_flash_sale and line == 0:
            return FIRST_PRODUCT
        others = PRODUCTS - self.is_flash_sale
        spread = (self.n * STRIDE + line * LINE_STRIDE) % others
        return FIRST_PRODUCT + self.is_flash_sale + spread

    @property
    def quantities(self) -> list[tuple[int, int]]:
        return [(self.product(line), 1) for line in range(self.lines)]


def stock_shelves() -> None:
    on_the_shelf(
        Product(
            id=FIRST_PRODUCT + n,
            sku=f"SKU-{n:04d}",
            name=f"Notebook {n:04d}",
            slug=f"notebook-{n:04d}",
            description="Paper.",
            price_minor=PRICE_MINOR,
            stock=1_000_000_000,
            weight_grams=WEIGHT_GRAMS,
        )
        for n in range(PRODUCTS)
    )
    for country, percent in [("DE", "19"), (TYPED["country"], "23")]:
        tax_rate(country, percent)
        tax_rate(country, "7", tax_class="reduced")
    for name, price_minor in [("Parcel", 490), ("Express", 1490)]:
        delivery_method(name, {"DE": price_minor, "": 2 * price_minor})


def fill_carts(purchases: Sequence[Purchase]) -> None:
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    Session.objects.bulk_create(
        Session(
            session_key=purchase.session_key,
            session_data=store.encode({CART_KEY: purchase.cart.hex, NONCE_KEY: purchase.nonce}),
            expire_date=store.get_expiry_date(),
        )
        for purchase in purchases
    )
    Cart.objects.bulk_create(Cart(pk=p.cart, version=p.lines) for p in purchases)
    CartLine.objects.bulk_create(
        CartLine(cart_id=purchase.cart, product_id=product_id, quantity=quantity)
        for purchase in purchases
        for product_id, quantity in purchase.quantities
    )


def press(purchase: Purchase) -> bytes:
    """The request that a browser sends when "Place order" is pressed."""
    body = urlencode(form(purchase)).encode()
    head = [
        "POST /checkout/ HTTP/1.1",
        "Host: 127.0.0.1",
        f"Cookie: csrftoken={CSRF}; {settings.SESSION_COOKIE_NAME}={purchase.session_key}",
        f"X-Forwarded-For: {purchase.address}",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "Accept-Language: en-GB,en;q=0.5",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def form(purchase: Purchase) -> dict[str, str]:
    token = token_of(purchase, now=timezone.now())
    shown = shown_quote(_quote_of(purchase.lines), Terms(country=TYPED["country"]))
    signed = issue_token(
        checkout_id=token.checkout_id,
        nonce=purchase.nonce,
        cart_version=token.cart_version,
        total_minor=token.total_minor,
        currency=token.currency,
        basket_digest=token.basket_digest,
        shown=shown,
        now=token.issued_at,
    )
    chosen = {"delivery_method": shown.delivery_method}
    typed = TYPED | chosen | {"email": purchase.email}
    empty = dict.fromkeys(LEFT_EMPTY, "")
    return {"csrfmiddlewaretoken": CSRF, "token": signed, **empty, **typed}


def _quote_of(lines: int) -> Quote:
    """All products cost and weigh the same, so the quote of so many lines is the same for all."""
    line = Line(
        product_id=FIRST_PRODUCT,
        quantity=1,
        unit_price_minor=PRICE_MINOR,
        weight_grams=WEIGHT_GRAMS,
    )
    return work_out([line] * lines, Terms(country=TYPED["country"]), now=timezone.now())


def token_of(purchase: Purchase, *, now: datetime) -> CheckoutToken:
    return CheckoutToken(
        checkout_id=purchase.cart,
        cart_version=purchase.lines,
        total_minor=_quote_of(purchase.lines).total_minor,
        currency=settings.SHOP_CURRENCY,
        basket_digest=basket_digest(purchase.quantities),
        issued_at=now,
    )
