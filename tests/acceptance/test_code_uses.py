"""Sixty-four shoppers want a code with ten uses, while web processes and workers are killed."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import requests
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import DiscountCode, Product
from checkout.orders.cancelling import CannotRevive, give_up, revive
from checkout.orders.models import Order
from checkout.orders.states import OrderStatus
from tests.support.codes import Watcher, counts_of, new_code
from tests.support.long import long
from tests.support.processes import ShopProcesses, WebProcess, eventually
from tests.support.shopper import TYPED, Answer, OverHttp, Shopper, read_form
from tests.support.till import Till

SHOPPERS, AT_ONCE, PRESSES, LIMIT = 64, 16, 3, 10
KILLS = 6


@pytest.fixture(autouse=True)
def _short_times(settings: Settings) -> None:
    """What a dead worker held is free again after seconds instead of minutes."""
    settings.MESSAGE_VISIBILITY_SECONDS = 3
    settings.PAYMENT_LEASE_SECONDS = 2


class Buyer:
    """Wants the code, and asks again where it is refused or nobody answers."""

    def __init__(self, number: int, webs: list[WebProcess]) -> None:
        self.webs = webs
        self.chance = random.Random(number)
        is_declined = number % 3
        card = "pm_card_chargeDeclined" if is_declined else "pm_card_visa"
        self.shopper = Shopper(
            OverHttp(""),
            TYPED | {"email": f"shopper-{number}@example.com", "payment_method": card},
        )
        self.typed = self.shopper.typed | {"code": "tenth"}

    def __call__(self) -> set[str]:
        """The addresses that the presses led to."""
        self._until_answered(lambda: self.shopper.add_to_cart("SKU-01"))
        page = self._until_answered(lambda: self.shopper.web.get("/checkout/"))
        form = read_form(page.text, "/checkout/") | self.typed
        locations: list[str] = []
        for _ in range(4 * PRESSES):
            answer = self._until_answered(lambda form=form: self.shopper.submit(form))  # type: ignore[misc] # mypy sees no default
            if answer.status == 303:
                locations.append(answer.location)
            elif answer.status in {409, 422} and not locations:
                form = read_form(answer.text, "/checkout/") | self.typed
                time.sleep(self.chance.uniform(0, 1))
            else:
                raise AssertionError((answer.status, answer.words[:300]))
            if len(locations) == PRESSES:
                break
        return set(locations)

    def _until_answered(self, ask: Callable[[], Answer]) -> Answer:
        assert isinstance(self.shopper.web, OverHttp)
        for _ in range(200):
            self.shopper.web.base_url = self.chance.choice(self.webs).url
            with suppress(requests.RequestException):
                if (answer := ask()).status < 500:
                    return answer
            time.sleep(self.chance.uniform(0.1, 0.5))
        raise AssertionError("nobody answers")


class SecondThoughts(threading.Thread):
    """Customers of declined cards have their orders cancelled. Every other one is paid after all,
    as by a bank that is late."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.tried: Counter[str] = Counter()
        self.is_over = threading.Event()

    def run(self) -> None:
        seen: set[int] = set()
        while not self.is_over.wait(0.2):
            try:
                self._look(seen)
            except OperationalError:  # too long a wait for a lock; the order is found again
                connection.close()
        connection.close()

    def _look(self, seen: set[int]) -> None:
        for order in Order.objects.filter(status=OrderStatus.PAYMENT_FAILED):
            give_up(order, now=timezone.now())
        for order in Order.objects.filter(status=OrderStatus.CANCELLED).exclude(pk__in=seen):
            if order.pk % 2:
                self._revive(order)
            self.tried["cancelled"] += 1
            seen.add(order.pk)

    def _revive(self, order: Order) -> None:
        try:
            revive(order, reason="Paid after all", now=timezone.now())
            self.tried["revived"] += 1
        except CannotRevive:
            self.tried["not revived"] += 1


class Killer(threading.Thread):
    def __init__(self, processes: ShopProcesses, webs: list[WebProcess]) -> None:
        super().__init__(daemon=True)
        self.processes, self.webs = processes, webs
        self.worker = processes.worker()
        self.kills = 0

    def run(self) -> None:
        for n in range(KILLS):
            time.sleep(1.5)
            self.webs[n % 2].process.send_signal(signal.SIGKILL)
            self.worker.send_signal(signal.SIGKILL)
            self.kills += 2
            self.worker = self.processes.worker()
            self.webs[n % 2] = self.processes.web()


@long
@pytest.mark.timeout(400)
def test_no_more_than_ten_have_the_code_while_processes_are_killed(
    processes: ShopProcesses, shelf: list[Product], till: Till
) -> None:
    code = new_code(limit=LIMIT)
    webs = [processes.web(), processes.web()]
    processes.publisher()
    killer, customers = Killer(processes, webs), SecondThoughts()

    with Watcher() as watcher, ThreadPoolExecutor(AT_ONCE) as pool:
        killer.start()
        customers.start()
        bought = list(pool.map(lambda n: Buyer(n, webs)(), range(SHOPPERS)))
        killer.join()
        eventually(nothing_is_under_way, seconds=90, what="settling every order")
        customers.is_over.set()
        customers.join()

    assert watcher.too_many(LIMIT) == []
    assert max(live for *_, live in watcher.seen) == LIMIT
    used, live_uses, live_orders = counts_of(DiscountCode.objects.get(pk=code.pk))
    assert used == live_uses == live_orders
    assert all(len(locations) <= 1 for locations in bought)
    assert len(set().union(*bought)) == Order.objects.count()
    assert customers.tried["cancelled"] > 0
    assert customers.tried["revived"] > 0
    charged = Counter(charge.order for charge in till.charges())
    assert set(charged.values()) == {1}
    print(f"{len(watcher.seen)} looks, {killer.kills} kills, {dict(customers.tried)}")


def nothing_is_under_way() -> bool:
    waiting = [OrderStatus.PLACED, OrderStatus.PAYMENT_FAILED]
    return not Order.objects.filter(status__in=waiting).exists()
