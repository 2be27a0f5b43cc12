"""Throttling by the shop's own limits, which are counted over all processes."""

from datetime import timedelta
from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from checkout.api.authentication import api_visitor
from checkout.orders.limits.limits import wait_before_api_request
from checkout.runtime.clock import database_now


class ClientThrottle(BaseThrottle):
    """Every request counts as one, whatever it asks for."""

    _wait: timedelta | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        self._wait = wait_before_api_request(api_visitor(request), now=database_now())
        return self._wait is None

    def wait(self) -> float | None:
        return self._wait.total_seconds() if self._wait else None
