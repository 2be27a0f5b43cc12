"""What the views of the API have in common."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.cache import patch_cache_control
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from checkout.api.idempotency import IdempotentRequest, fingerprint, read_key
from checkout.api.parsers import check_length
from checkout.models import ApiRequest, Scope
from checkout.orders.models import Order


class ApiView(APIView):
    # Method → the scope that a token needs. A method that is not listed is open to everybody.
    scopes: ClassVar[Mapping[str, Scope]] = {}
    is_about_money = False
    http_method_names = ["get", "head", "post"]

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        patch_cache_control(response, private=True, no_cache=True)
        return response

    def own_orders(self, request: Request) -> QuerySet[Order]:
        return Order.objects.filter(customer_id=request.user.pk).prefetch_related("lines")

    def own_order(self, request: Request, reference: str) -> Order:
        """To everybody but its owner an order does not exist."""
        order = self.own_orders(request).filter(reference=reference).first()
        if order is None:
            raise NotFound
        return order


def idempotent_request(
    request: Request, operation: ApiRequest.Operation, target: str = ""
) -> IdempotentRequest:
    """Read the key first, so that nothing else is read of a request without one."""
    key = read_key(request.headers.get("Idempotency-Key"))
    check_length(request.META)
    return IdempotentRequest(
        client_id=int(str(request.user.pk)),
        key=key,
        operation=operation,
        fingerprint=fingerprint(operation, target, body_of(request)),
    )


def body_of(request: Request) -> Any:
    """The body, or an empty object where there is none, whatever type the client says it has."""
    return {} if isinstance(request.data, QueryDict) else request.data
