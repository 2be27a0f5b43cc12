"""Placing what a program wants, by the same function as the pages."""

from functools import partial
from typing import Any

from django.conf import settings
from django.utils.translation import get_language
from rest_framework.request import Request
from rest_framework.response import Response

from checkout.api import problems
from checkout.api.authentication import accepts_any_total, api_visitor
from checkout.api.base_view import body_of
from checkout.api.idempotency import IdempotentRequest, claim_key
from checkout.api.problems import Problem
from checkout.api.purchases.basket import ApiBasket
from checkout.api.purchases.refusals import told_as_problems
from checkout.api.purchases.wanted import WantedOrder
from checkout.api.request_fields import validated_data
from checkout.api.responses import order_response
from checkout.orders.limits.limits import wait_before_placing
from checkout.orders.placing.place import place_order
from checkout.orders.placing.purchase import Customer, PlaceOrder
from checkout.orders.states import OrderStatus
from checkout.quotes.rules import code_spelling
from checkout.runtime.clock import database_now


def place(request: Request, asked: IdempotentRequest) -> Response:
    now = database_now()
    may_leave_out = partial(accepts_any_total, request.user.pk)
    wanted = validated_data(
        WantedOrder(data=body_of(request), context={"accepts_any_total": may_leave_out})
    )
    if wait := wait_before_placing(api_visitor(request), now=now):
        raise Problem(problems.TOO_MANY, wait=wait, charged=False)
    placed = OrderStatus.PLACED
    claim = partial(
        claim_key, asked, asked.checkout_id, status_code=201, order_status=placed, now=now
    )
    basket = ApiBasket(
        {line["sku"]: line["quantity"] for line in wanted["lines"]},
        claim,
        wanted.get("expected_total"),
        wanted.get("expected_currency", settings.SHOP_CURRENCY),
    )
    purchase = _purchase(request, asked, wanted)
    with told_as_problems([*basket.quantities], purchase.terms):
        order = place_order(purchase, basket, now=now)
    return order_response(order, status_code=201, order_status=placed)


def _purchase(request: Request, asked: IdempotentRequest, wanted: dict[str, Any]) -> PlaceOrder:
    visitor = api_visitor(request)
    return PlaceOrder(
        checkout_id=asked.checkout_id,
        customer=Customer.typed(wanted),
        delivery_method=wanted.get("delivery_method", ""),
        takes_cheapest=True,
        code=code_spelling(wanted.get("code", "")),
        gateway=wanted["gateway"],
        payment_method=wanted["payment_method"],
        currency=settings.SHOP_CURRENCY,
        content_digest=asked.fingerprint,
        customer_id=request.user.pk,
        language=get_language() or "",
        from_session=visitor.session,
        from_address=visitor.address,
        from_client=visitor.client,
    )
