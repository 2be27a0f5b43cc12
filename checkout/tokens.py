"""The checkout token: a signed statement of which purchase a form is for and what it showed.

Issuing a token writes nothing. It is bound to the session it was issued to by a random nonce in the
session's data: a login keeps that nonce, and after a logout, or with another shopper, it is gone.
"""

import hmac
import uuid
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.utils import timezone
from moneyed import Money

from checkout.catalogue.money import money

SALT = "checkout.token.v1"


class TokenRefused(Exception):
    """This shop did not issue the token to this session. The purchase may exist or not."""


@dataclass(frozen=True, kw_only=True)
class ShownQuote:
    """What the page said of its total: the parts, and what they were worked out for."""

    country: str
    region: str
    delivery_method: str
    code: str
    goods_minor: int
    discount_minor: int
    delivery_minor: int
    added_tax_minor: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class CheckoutToken:
    checkout_id: uuid.UUID
    cart_version: int
    total_minor: int
    currency: str
    basket_digest: str  # empty in tokens of an earlier release
    shown: ShownQuote | None = None  # None in tokens of an earlier release
    issued_at: datetime

    @property
    def total(self) -> Money:
        return money(self.total_minor, self.currency)

    def has_expired(self, now: datetime) -> bool:
        return now - self.issued_at > timedelta(seconds=settings.CHECKOUT_TOKEN_MAX_AGE_SECONDS)


def issue_token(
    *,
    checkout_id: uuid.UUID,
    nonce: str,
    cart_version: int,
    total_minor: int,
    currency: str,
    basket_digest: str,
    shown: ShownQuote,
    now: datetime,
) -> str:
    issued = int(now.timestamp())
    # A release that knows less of a token reads its beginning, so more is added at the end.
    content = [checkout_id.hex, nonce, cart_version, total_minor, currency, issued, basket_digest]
    content.append(astuple(shown))
    return signing.dumps(content, salt=SALT)


def read_token(token: str, *, nonce: str | None) -> CheckoutToken:
    """The content of a token of any age: its order is looked up before its age is judged."""
    try:
        checkout_id, token_nonce, version, total, currency, issued, *later = signing.loads(
            token, salt=SALT
        )
        content = CheckoutToken(
            checkout_id=uuid.UUID(checkout_id),
            cart_version=version,
            total_minor=total,
            currency=currency,
            basket_digest=later[0] if later else "",
            shown=_shown(later[1]) if len(later) > 1 else None,
            issued_at=datetime.fromtimestamp(issued, tz=timezone.get_default_timezone()),
        )
    except (signing.BadSignature, TypeError, ValueError) as error:
        raise TokenRefused from error
    if nonce is None or not hmac.compare_digest(token_nonce.encode(), nonce.encode()):
        raise TokenRefused
    return content


def _shown(content: list[Any]) -> ShownQuote:
    names = [field.name for field in fields(ShownQuote)]
    return ShownQuote(**dict(zip(names, content, strict=False)))
