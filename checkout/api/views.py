"""The views of the API: programs place, pay and cancel by the same functions as the pages."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from rest_framework.exceptions import NotFound
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from checkout.api import problems, schema
from checkout.api.authentication import api_visitor
from checkout.api.base_view import ApiView, body_of, idempotent_request
from checkout.api.idempotency import IdempotentRequest, KeyTaken, claim_key, find_earlier
from checkout.api.pagination import IdPagination, NewestFirstPagination
from checkout.api.parsers import check_length
from checkout.api.prefer_wait import preferred_wait, wait_until
from checkout.api.problems import Problem
from checkout.api.purchases.place import place
from checkout.api.purchases.quote import quote_purchase
from checkout.api.purchases.wanted import WantedQuote
from checkout.api.request_fields import validated_data
from checkout.api.responses import (
    OrderSerializer,
    charged,
    order_response,
    replayed_response,
)
from checkout.api.serializers import (
    EmptySerializer,
    ProductSerializer,
    WantedPayment,
)
from checkout.catalogue.models import Product
from checkout.models import ApiRequest, Scope
from checkout.orders.cancelling import (
    CannotCancel,
    cancel_paid,
    customer_can_cancel_paid,
    give_up,
)
from checkout.orders.limits.limits import wait_before_paying_again
from checkout.orders.models import Order
from checkout.orders.paying import can_pay_again, pay_again
from checkout.orders.states import SENDABLE, Canceller, OrderStatus
from checkout.runtime.clock import database_now

Operation = ApiRequest.Operation


class ProductList(ApiView, ListAPIView[Product]):
    serializer_class = ProductSerializer
    pagination_class = IdPagination
    queryset = Product.objects.filter(is_on_sale=True)

    @schema.list_products
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What is on sale."""
        return super().get(request, *args, **kwargs)


class OrderList(ApiView, ListAPIView[Order]):
    scopes: ClassVar = {"GET": Scope.READ, "HEAD": Scope.READ, "POST": Scope.WRITE}
    is_about_money = True
    serializer_class = OrderSerializer
    pagination_class = NewestFirstPagination

    def get_queryset(self) -> QuerySet[Order]:
        return self.own_orders(self.request)

    @schema.list_orders
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """The orders that this client or person has placed, newest first."""
        return super().get(request, *args, **kwargs)

    @schema.place_order
    def post(self, request: Request) -> Response:
        """Place an order, once, however often this is sent with the same key."""
        asked = idempotent_request(request, Operation.PLACE)
        return once(asked, lambda: place(request, asked))


class QuotePurchase(ApiView):
    # A code is a secret of the shop, so what may only read cannot try codes here.
    scopes: ClassVar = {"POST": Scope.WRITE}
    is_about_money = False

    @schema.quote_purchase
    def post(self, request: Request) -> Response:
        """What a purchase would cost, with each method of delivery that is offered. Nothing is
        stored, so this needs no Idempotency-Key."""
        check_length(request.META)
        wanted = validated_data(WantedQuote(data=body_of(request)))
        return Response(quote_purchase(wanted, api_visitor(request)))


class OrderDetail(ApiView):
    scopes: ClassVar = {"GET": Scope.READ, "HEAD": Scope.READ}

    @schema.read_order
    def get(self, request: Request, reference: str) -> Response:
        """One order of one's own; with `Prefer: wait=N`, as soon as there is something to tell."""
        known_etag = request.headers.get("If-None-Match", "")
        seconds = preferred_wait(request.headers.get("Prefer", ""))

        def is_news(order: Order) -> bool:
            content = OrderSerializer(order).data
            if content["is_final"]:
                return True
            changed = not _matches(known_etag, _etag(content))
            return changed if known_etag else order.status != OrderStatus.PLACED

        order, waited = wait_until(
            is_news, lambda: self.own_order(request, reference), seconds=seconds
        )
        content = OrderSerializer(order).data
        etag = _etag(content)
        headers = {"ETag": etag}
        if waited:
            headers["Preference-Applied"] = f"wait={seconds}"
        if _matches(known_etag, etag):
            return Response(status=304, headers=headers)
        return Response(content, headers=headers)


class PayOrder(ApiView):
    scopes: ClassVar = {"POST": Scope.WRITE}
    is_about_money = True

    @schema.pay_order
    def post(self, request: Request, reference: str) -> Response:
        """Pay with another method, after a decline or instead of the bank's question."""
        asked = idempotent_request(request, Operation.PAY, reference)
        order = self.own_order(request, reference)
        return once(asked, lambda: _pay(request, asked, order))


class CancelOrder(ApiView):
    scopes: ClassVar = {"POST": Scope.WRITE}
    is_about_money = True

    @schema.cancel_order
    def post(self, request: Request, reference: str) -> Response:
        """Have an order cancelled that is not paid, or that is paid and of which nothing was sent.
        An open payment is cancelled at the gateway first, which takes a moment; if it succeeds
        before that, the order is paid. The money of a paid order goes back, if the shop lets its
        customers cancel those."""
        asked = idempotent_request(request, Operation.CANCEL, reference)
        order = self.own_order(request, reference)
        return once(asked, lambda: _cancel(request, asked, order))


class ProblemType(ApiView):
    @schema.hidden
    def get(self, request: Request, slug: str) -> Response:
        """What a type of problem means."""
        if slug not in problems.KINDS:
            raise NotFound
        return Response(Problem(problems.KINDS[slug]).document(about_money=False))


@require_safe
def docs_page(request: HttpRequest) -> HttpResponse:
    """Swagger UI, from this shop's own static files."""
    title = settings.SPECTACULAR_SETTINGS["TITLE"]
    return render(request, "api/docs.html", {"title": title})


class UnknownAddress(ApiView):
    """Answers every other address under /api/v1/, whatever the method."""

    is_about_money = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound


def once(
    asked: IdempotentRequest,
    work: Callable[[], Response],
    replayed: Callable[[ApiRequest, IdempotentRequest], Response] = replayed_response,
) -> Response:
    """Do the work, or repeat the response to another request with this key that came before."""
    # This comes before any check that could refuse: a used key leads to its order, for ever.
    if earlier := find_earlier(asked):
        return replayed(earlier, asked)
    try:
        return work()
    except KeyTaken:
        if earlier := find_earlier(asked):
            return replayed(earlier, asked)
        raise Problem(problems.KEY_IN_USE, wait=timedelta(seconds=1)) from None


def _pay(request: Request, asked: IdempotentRequest, order: Order) -> Response:
    now, placed = database_now(), OrderStatus.PLACED
    way = validated_data(WantedPayment(data=body_of(request)))
    if not can_pay_again(order, failed_round=None):
        raise _refused(problems.NOT_PAYABLE, order)
    if wait := wait_before_paying_again(api_visitor(request), order, now=now):
        raise Problem(problems.TOO_MANY, wait=wait, charged=charged(order))
    with transaction.atomic():
        claim_key(asked, order.checkout_id, status_code=202, order_status=placed, now=now)
        if not pay_again(order, **way, failed_round=None, now=now):
            order.refresh_from_db()
            raise _refused(problems.NOT_PAYABLE, order)
    return order_response(order, status_code=202, order_status=placed)


def _cancel(request: Request, asked: IdempotentRequest, order: Order) -> Response:
    validated_data(EmptySerializer(data=body_of(request)))
    now, order_status = database_now(), OrderStatus(order.status)
    is_done = order_status == OrderStatus.CANCELLED
    status_code = 200 if is_done else 202
    with transaction.atomic():
        claim_key(
            asked, order.checkout_id, status_code=status_code, order_status=order_status, now=now
        )
        if not is_done and not _have_cancelled(order, now=now):
            order.refresh_from_db()
            raise _refused(problems.NOT_CANCELLABLE, order)
    return order_response(order, status_code=status_code, order_status=order_status)


def _have_cancelled(order: Order, *, now: datetime) -> bool:
    if order.status not in SENDABLE:
        return give_up(order, now=now)
    if not (customer_can_cancel_paid(order) or order.is_cancelled_and_paid):
        return False
    try:
        cancel_paid(order, Canceller.CUSTOMER, by="", why="", now=now)
    except CannotCancel:
        return False
    order.refresh_from_db()
    return True


def _refused(kind: problems.Kind, order: Order) -> Problem:
    return Problem(kind, charged=charged(order), order_status=order.status)


def _etag(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


def _matches(if_none_match: str, etag: str) -> bool:
    """RFC 9110, 13.1.2, by weak comparison."""
    named = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return etag in named or named == ["*"]
