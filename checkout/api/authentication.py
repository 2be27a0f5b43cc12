"""Clients of the API and the tokens that they authenticate with."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from knox.auth import TokenAuthentication as KnoxAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from checkout.models import ApiClient, ApiToken
from checkout.orders.limits.limits import Visitor
from checkout.visitor import visitor_of

# A client is a user who cannot sign in. Nobody can get a name of this form by signing up.
PREFIX = "api:"

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")

TOKEN = re.compile(rb"once_[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class NewToken:
    id: int
    token: str  # shown once and stored nowhere
    scopes: str
    others: int  # how many other tokens of this client are still good


def create_client(
    name: str,
    scopes: Iterable[str],
    *,
    expires_in: timedelta | None,
    accepts_any_total: bool | None = None,
) -> NewToken:
    """Create one more token for the client of that name, and the client if there is none yet. With
    `accepts_any_total=None` that setting of the client stays as it is; a new client has it off."""
    with transaction.atomic():
        client, is_new = User.objects.get_or_create(username=PREFIX + name)
        if is_new:
            client.set_unusable_password()
            client.save(update_fields=["password"])
            ApiClient.objects.create(user=client)
        if accepts_any_total is not None:
            ApiClient.objects.update_or_create(
                user=client, defaults={"accepts_any_total": accepts_any_total}
            )
        others = tokens_of(name).count()
        row, token = ApiToken.objects.create(
            user=client, expiry=expires_in, scopes=" ".join(scopes)
        )
    return NewToken(id=row.pk, token=token, scopes=row.scopes, others=others)


def accepts_any_total(user_id: int | None) -> bool:
    """Whether this client may place an order without the total that it showed."""
    return ApiClient.objects.filter(user=user_id, accepts_any_total=True).exists()


def tokens_of(name: str) -> QuerySet[ApiToken]:
    found: QuerySet[ApiToken] = ApiToken.objects.filter(user__username=PREFIX + name)
    return found


class TokenAuthentication(KnoxAuthentication):  # type: ignore[misc] # knox has no types
    def authenticate_credentials(self, token: bytes) -> Any:
        """Refuse without a query what is not formed like our tokens: it may hold any bytes."""
        if not TOKEN.fullmatch(token):
            raise AuthenticationFailed
        return super().authenticate_credentials(token)


def api_visitor(request: Request) -> Visitor:
    """The visitor for whom the limits count this request."""
    if isinstance(request.auth, ApiToken):
        return Visitor.client_of_api(request.auth.user_id)
    return visitor_of(request._request)
