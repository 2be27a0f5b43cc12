"""What a request may do: clients by the scopes of their token, people by their session."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from checkout.models import ApiToken, Scope

# The scopes about other people's orders → the permission that a person needs instead.
PEOPLE_NEED = {Scope.FULFIL: "orders.ship_order"}


class HasScope(BasePermission):
    """A view names in `scopes` the scope that each method needs; a method without one is open to
    everybody. People who are signed in need no scope: they may do what they may do on the pages,
    which is to see their own orders, and those of others only with a permission."""

    def has_permission(self, request: Request, view: Any) -> bool:
        scope = view.scopes.get(request.method)
        if scope is None:
            return True
        if not request.user.is_authenticated:
            return False
        if isinstance(request.auth, ApiToken):
            return request.auth.opens(scope)
        permission = PEOPLE_NEED.get(scope)
        return permission is None or request.user.has_perm(permission)
