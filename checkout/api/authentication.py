"""Who may do what: clients by their token and its scopes, people by their session."""

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
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from checkout.models import ApiClient, ApiToken
from checkout.orders.limits.limits import Visitor
from checkout.visitor import visitor_of

# A client is a user who cannot sign in. Nobody can take such a name by signing up.
PREFIX = "api:"

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")

TOKEN = re.compile(rb"once_[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class NewToken:
    id: int
    token: str  # told once, and kept nowhere
    scopes: str
    others: int  # of the same client, and still good


def create_client(
    name: str,
    scopes: Iterable[str],
    *,
    expires_in: timedelta | None,
    accepts_any_total: bool | None = None,
) -> NewToken:
    """One more token for the client of that name, new or known. Whether the client accepts any
    total stays as it is where None is given, and is no for a new one."""
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
        """What no token of ours looks like is not looked up: it may hold any bytes."""
        if not TOKEN.fullmatch(token):
            raise AuthenticationFailed
        return super().authenticate_credentials(token)


class HasScope(BasePermission):
    """A view names the scope of each method in `scopes`; a method without one is open to all.
    Whoever came by their session may do as on the pages: everything with what is theirs."""

    def has_permission(self, request: Request, view: Any) -> bool:
        scope = view.scopes.get(request.method)
        if scope is None:
            return True
        if not request.user.is_authenticated:
            return False
        return not isinstance(request.auth, ApiToken) or request.auth.opens(scope)


def api_visitor(request: Request) -> Visitor:
    """Whoever the limits count this request for."""
    if isinstance(request.auth, ApiToken):
        return Visitor.client_of_api(request.auth.user_id)
    return visitor_of(request._request)
