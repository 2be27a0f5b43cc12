"""Discount codes, and who has used them."""

import threading
from decimal import Decimal
from typing import Any

import psycopg

from checkout.catalogue.models import DiscountCode
from checkout.orders.models import CodeUse, Order
from checkout.orders.states import OrderStatus
from tests.support.processes import database_url


def new_code(code: str = "TENTH", **more: Any) -> DiscountCode:
    fields: dict[str, Any] = {"kind": "percent", "percent": Decimal(10)} | more
    return DiscountCode.objects.create(code=code, **fields)


def counts_of(code: DiscountCode) -> tuple[int, int, int]:
    """What the code says, its live uses, and the orders with it that are not cancelled."""
    return (
        DiscountCode.objects.get(pk=code.pk).used,
        CodeUse.objects.filter(code=code, is_live=True).count(),
        Order.objects.filter(discount_code=code.code).exclude(status=OrderStatus.CANCELLED).count(),
    )


class Watcher(threading.Thread):
    """Looks at the code again and again, each time at one moment."""

    LOOK = """
        SELECT used,
            (SELECT count(*) FROM orders_codeuse WHERE code_id = c.id AND is_live),
            (SELECT count(*) FROM orders_order
             WHERE discount_code = c.code AND status <> 'cancelled')
        FROM catalogue_discountcode c
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: list[tuple[int, ...]] = []
        self._is_over = threading.Event()

    def __enter__(self) -> "Watcher":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        self.join()

    def too_many(self, limit: int) -> list[tuple[int, ...]]:
        """The looks at which the counts differed, or there were more than the limit."""
        return [
            (used, live_uses, live_orders)
            for used, live_uses, live_orders in self.seen
            if not used == live_uses == live_orders <= limit
        ]

    def run(self) -> None:
        with psycopg.connect(database_url(), autocommit=True) as looking:
            while not self._is_over.wait(0.002):
                self.seen += looking.execute(self.LOOK).fetchall()
