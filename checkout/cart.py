"""The cart of a session, and the cart as the basket of an order."""

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Least, Now
from django.utils.crypto import salted_hmac

from checkout.catalogue.models import Product
from checkout.models import MAX_QUANTITY, Cart, CartLine
from checkout.orders.placing.purchase import (
    BasketTaken,
    PurchaseLine,
    StoredBasket,
    basket_digest,
)
from checkout.quotes.rules import Line, TaxClass
from checkout.runtime.clock import database_now
from checkout.tokens import CheckoutToken

CART_KEY = "cart"
NONCE_KEY = "checkout_nonce"

# The session keeps the ids of carts that were bought before the present one, the newest last.
EARLIER_KEY = "earlier_carts"
EARLIER_AT_MOST = 50

# Two requests of one browser for a new cart share it when they come within so many seconds.
TOGETHER_SECONDS = 10


class NotAsSeen(Exception):
    """The cart is not what the submitted form showed. Nothing was stored."""


class CartChanged(NotAsSeen):
    """The lines of the cart were changed, in another tab for instance."""


class ArticleGone(NotAsSeen):
    """A product that the form showed is no longer sold. Deleting one deletes its cart lines."""


def session_nonce(session: SessionBase) -> str | None:
    nonce: Any = session.get(NONCE_KEY)
    return nonce if isinstance(nonce, str) else None


def session_cart(session: SessionBase) -> Cart | None:
    checkout_id = session.get(CART_KEY)
    return Cart.objects.filter(pk=checkout_id).first() if checkout_id else None


def is_there(checkout_id: uuid.UUID) -> bool:
    return Cart.objects.filter(pk=checkout_id).exists()


def had_cart(session: SessionBase, checkout_id: uuid.UUID) -> bool:
    return checkout_id.hex in (session.get(CART_KEY), *session.get(EARLIER_KEY, []))


def cart_lines(cart: Cart | None) -> list[CartLine]:
    if cart is None or cart.closed_at:
        return []
    return list(cart.lines.select_related("product"))


def add_to_cart(
    session: SessionBase, product: Product, quantity: int, *, visit: str = "", press: str = ""
) -> None:
    """`visit` is what two requests of one browser have in common before there is a session. `press`
    is made with the page: a request that comes twice with it adds once."""
    with transaction.atomic():
        cart = _open_cart(session, visit)
        if press and cart.last_press == press:
            return  # the button was pressed twice, or a proxy sent the request again
        Cart.objects.filter(pk=cart.pk).update(
            version=F("version") + 1, last_press=press, changed_at=Now()
        )
        lines = CartLine.objects.filter(cart=cart, product=product)
        if not lines.update(quantity=Least(F("quantity") + quantity, MAX_QUANTITY)):
            CartLine.objects.create(
                cart=cart, product=product, quantity=min(quantity, MAX_QUANTITY)
            )


def change_quantity(session: SessionBase, product: Product, quantity: int) -> None:
    """Set the quantity of a product that is in the cart; 0 removes it."""
    with transaction.atomic():
        cart_id = session.get(CART_KEY)
        changed = {"version": F("version") + 1, "changed_at": Now()}
        open_carts = Cart.objects.filter(closed_at__isnull=True)
        if not cart_id or not open_carts.filter(pk=cart_id).update(**changed):
            return  # no cart, or its order is placed: nothing can be changed any more
        lines = CartLine.objects.filter(cart_id=cart_id, product=product)
        if quantity:
            lines.update(quantity=min(quantity, MAX_QUANTITY))
        else:
            lines.delete()


def _open_cart(session: SessionBase, visit: str) -> Cart:
    """The session's cart, locked; a new one after an order."""
    cart_id = session.get(CART_KEY)
    open_carts = Cart.objects.select_for_update().filter(closed_at__isnull=True)
    if cart_id and (cart := open_carts.filter(pk=cart_id).first()):
        return cart
    known_by = session.session_key or visit
    cart = _new_cart(f"{known_by}:{cart_id}") if known_by else Cart.objects.create()
    if cart_id:
        session[EARLIER_KEY] = [*session.get(EARLIER_KEY, []), cart_id][-EARLIER_AT_MOST:]
    session[CART_KEY] = cart.pk.hex
    session.setdefault(NONCE_KEY, secrets.token_urlsafe(16))
    return cart


def _new_cart(opener: str) -> Cart:
    """One cart for all requests that ask under the same name within moments: the second waits here
    for the first, and finds its cart by an id that only this shop can derive from the name."""
    with connection.cursor() as cursor:
        key = int.from_bytes(_keyed(opener)[:8], signed=True)
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key])
    moment = int(database_now().timestamp()) // TOGETHER_SECONDS
    ids = [uuid.UUID(bytes=_keyed(f"{opener}:{n}")[:16]) for n in (moment, moment - 1)]
    carts = list(Cart.objects.select_for_update().filter(pk__in=ids))
    for cart in carts:
        if cart.closed_at is None:
            return cart
    is_free = ids[0] not in {cart.pk for cart in carts}
    return Cart.objects.create(pk=ids[0]) if is_free else Cart.objects.create()


def _keyed(text: str) -> bytes:
    return salted_hmac("checkout.cart.v1", text, algorithm="sha256").digest()


# In SQL, since it is run for every purchase.
BOUGHT = """
    SELECT p.id, p.sku, p.name, p.price_minor, p.weight_grams, p.is_delivered, p.tax_class,
        line.quantity, p.is_on_sale
    FROM checkout_cartline line JOIN catalogue_product p ON p.id = line.product_id
    WHERE line.cart_id = %s ORDER BY line.id
"""

# `CartBasket.take` in SQL. While the version is as it was seen, so are the lines: see `Cart`.
LINES = """
    SELECT line.id AS position, line.product_id, line.quantity
    FROM checkout_cart cart JOIN checkout_cartline line ON line.cart_id = cart.checkout_id
    WHERE cart.checkout_id = %(cart)s AND cart.closed_at IS NULL AND cart.version = %(version)s
    FOR UPDATE OF cart
"""
USE_UP = """
    UPDATE checkout_cart SET closed_at = %(closed_at)s FROM new_order WHERE checkout_id = %(cart)s
"""


@dataclass(frozen=True)
class CartBasket:
    """The cart a token was issued for, as the basket of its order."""

    token: CheckoutToken
    now: datetime

    def stored(self) -> StoredBasket | None:
        token = self.token
        # Tokens of an earlier release do not say which products the cart held.
        if token.currency != settings.SHOP_CURRENCY or not token.basket_digest:
            return None
        bought, is_as_seen = self._bought()
        if not is_as_seen:
            return None
        return StoredBasket(
            lines=LINES,
            use_up=USE_UP,
            values={
                "cart": token.checkout_id,
                "version": token.cart_version,
                "closed_at": self.now,
            },
            bought=bought,
        )

    def take(self) -> Sequence[PurchaseLine]:
        carts = Cart.objects.filter(pk=self.token.checkout_id)
        # This locks the row until the order is stored. Of many requests with one token only one
        # finds the cart open; the others wait here, and then find it closed.
        seen = carts.filter(closed_at__isnull=True, version=self.token.cart_version)
        if not seen.update(closed_at=self.now):
            if carts.filter(closed_at__isnull=True).exists():
                raise CartChanged
            raise BasketTaken
        # The lines are read after the lock, in a statement of their own: else they could be stale.
        bought, is_as_seen = self._bought()
        if not is_as_seen:
            raise ArticleGone
        return bought

    def is_as_shown(self, total_minor: int) -> bool:
        shown = (self.token.total_minor, self.token.currency)
        return (total_minor, settings.SHOP_CURRENCY) == shown

    def _bought(self) -> tuple[list[PurchaseLine], bool]:
        """The lines as they are now, and whether they are all that the form showed."""
        with connection.cursor() as cursor:
            cursor.execute(BOUGHT, [self.token.checkout_id])
            rows = cursor.fetchall()
        bought = [_purchase_line(*row) for *row, _ in rows]
        goods = basket_digest((each.line.product_id, each.line.quantity) for each in bought)
        # Tokens of an earlier release do not say which products the cart held.
        is_whole = bool(bought) and self.token.basket_digest in ("", goods)
        return bought, is_whole and all(is_on_sale for *_, is_on_sale in rows)


def _purchase_line(
    product_id: int,
    sku: str,
    name: str,
    price_minor: int,
    weight_grams: int,
    is_delivered: bool,
    tax_class: str,
    quantity: int,
) -> PurchaseLine:
    line = Line(
        product_id=product_id,
        quantity=quantity,
        unit_price_minor=price_minor,
        weight_grams=weight_grams,
        is_delivered=is_delivered,
        tax_class=TaxClass(tax_class),
    )
    return PurchaseLine(sku=sku, name=name, line=line)
