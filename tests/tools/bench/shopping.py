"""Shoppers who come one by one while something dies, each of whom stays until the page says paid.

Through all of the shop, with the times that it is shipped with, to the sandbox gateway over HTTP:
what a gateway in the worker's own process had opened would die with that process.
"""

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests
from django.conf import settings

from config.local.crowd.records import ACKNOWLEDGED, PostLog, charges_in
from config.local.crowd.shoppers import Crowd, Life
from config.local.processes import Child, free_port
from tests.support.shopper import Answer, Transport
from tests.support.shopper import OverHttp as Browser
from tests.tools.bench import orders
from tests.tools.bench.figures import Figures, Round
from tests.tools.bench.over_http import Basket, OverHttp
from tests.tools.bench.placing import prepare
from tests.tools.bench.purchases import CSRF, Purchase, form
from tests.tools.bench.stage import Stage, await_answer
from tests.tools.drill.chaos import Chaos, Event

# How many come in a second.
A_SECOND = 5.0

# The gateway takes a second for every payment, and charges it whatever became of who asked.
SECOND_OF_GATEWAY = "confirm:late=1"

# Of the worker, which settle.
PROCESSES = 2

PRESS_AGAIN_SECONDS = 1.0
LOOK_SECONDS = 0.5
UNAVAILABLE = 503

# After the last has come: longer than it took when nobody noticed a death.
PATIENCE_SECONDS = 200.0

THREADS = 64
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Shop:
    """All of it; whoever shops there can have its worker's processes killed."""

    ports: Sequence[int]
    worker: Child
    ledger: Path  # of the gateway
    presses: Path


@contextmanager
def shop(stage: Stage, database: str) -> Iterator[Shop]:
    """On a database of its own, and warm: the first orders are settled."""
    prepare(stage, database)
    port, ledger = free_port(), stage.file(f"{database}-ledger.jsonl")
    gateway = [f"--port={port}", f"--ledger={ledger}", f"--faults={SECOND_OF_GATEWAY}"]
    url = f"http://127.0.0.1:{port}"
    settle = ["run_payment_worker", "--skip-checks", f"--processes={PROCESSES}"]
    with ExitStack() as started:
        started.enter_context(stage.queue())
        sandbox = started.enter_context(stage.manage("run_sandbox_gateway", *gateway))
        await_answer(sandbox, f"{url}/sandbox/faults")
        ports = started.enter_context(stage.web())
        started.enter_context(stage.manage("run_outbox_publisher"))
        of_gateway = {"STRIPE_API_BASE": url}
        worker = started.enter_context(stage.manage(*settle, environment=of_gateway))
        OverHttp(ports).place(Basket().filled(4 * len(ports)))
        orders.await_settled()
        yield Shop(ports, worker, ledger, stage.file(f"{database}-presses.jsonl"))
    stage.drop_database(database)


@dataclass(frozen=True)
class Shoppers:
    """What they pressed, and when their pages said paid, by purchase."""

    log: PostLog
    paid_at: dict[str, float] = field(default_factory=dict)

    def life(self, purchase: Purchase, fields: dict[str, str], web: Transport) -> Life:
        location = yield from self._press(purchase, fields, web)
        while 'data-status="paid"' not in _ask(lambda: web.get(f"{location}status/")).text:
            yield LOOK_SECONDS
        self.paid_at[purchase.email] = time.time()

    def _press(
        self, purchase: Purchase, fields: dict[str, str], web: Transport
    ) -> Generator[float, None, str]:
        while True:
            began = time.time()
            answer = _ask(lambda: web.post("/checkout/", fields))
            self.log.add(purchase.email, began=began, status=answer.status)
            if answer.status == ACKNOWLEDGED:
                return answer.location
            yield PRESS_AGAIN_SECONDS

    def waits(self) -> list[float]:
        """From the first press of each until its page said paid."""
        first: dict[str, float] = {}
        for press in self.log.presses:
            first[press.purchase] = min(first.get(press.purchase, press.at), press.at)
        return [paid - first[purchase] for purchase, paid in self.paid_at.items()]

    @property
    def put_off(self) -> int:
        """Presses, not shoppers, that no order was the answer of."""
        return sum(press.status != ACKNOWLEDGED for press in self.log.presses)


def _ask(ask: Callable[[], Answer]) -> Answer:
    """With the status 0 where no answer came. One that no shopper may get ends the purchase."""
    try:
        answer = ask()
    except requests.RequestException:
        return Answer(0, "", "")
    if answer.status not in (200, ACKNOWLEDGED, UNAVAILABLE):
        raise RuntimeError(f"A shopper was answered {answer.status}: {answer.words[:300]}")
    return answer


def browser(purchase: Purchase, port: int) -> Browser:
    """With the purchase's checkout page open."""
    web = Browser(f"http://127.0.0.1:{port}")
    web.session.headers["X-Forwarded-For"] = purchase.address
    web.session.cookies["csrftoken"] = CSRF
    web.session.cookies[settings.SESSION_COOKIE_NAME] = purchase.session_key
    return web


def buy(shop: Shop, purchases: Sequence[Purchase], events: Sequence[Event]) -> Shoppers:
    """All of them, while the events happen; events in vain end the benchmark, as does a shopper
    who does not come to an order that is paid once."""
    shoppers = Shoppers(PostLog(shop.presses))
    crowd = Crowd(THREADS)
    for number, purchase in enumerate(purchases):
        web = browser(purchase, shop.ports[number % len(shop.ports)])
        life = shoppers.life(purchase, form(purchase), web)
        crowd.add(life, after_seconds=number / A_SECOND)
    chaos = Chaos(sorted(events))
    began = time.monotonic()
    until = len(purchases) / A_SECOND + PATIENCE_SECONDS
    crowd.start()
    try:
        while crowd.finished < len(purchases) and (now := time.monotonic() - began) < until:
            chaos.tend(now)
            time.sleep(POLL_SECONDS)
    finally:
        crowd.stop()
        shoppers.log.close()
    if crowd.failures:
        raise RuntimeError(f"{len(crowd.failures)} shoppers failed: {crowd.failures[0]}")
    if not chaos.hits or not all(chaos.hits.values()):
        raise RuntimeError("Nothing was there to be hit, so nothing was measured.")
    if (told := len(shoppers.paid_at)) < len(purchases):
        raise RuntimeError(
            f"After {until:.0f} s the pages of {told} of {len(purchases)} purchases said paid."
        )
    check_paid_once(purchases, shop.ledger)
    return shoppers


def check_paid_once(purchases: Sequence[Purchase], ledger: Path) -> None:
    """By the shop's books and by the gateway's."""
    from checkout.orders.models import Order

    of_purchases = Order.objects.filter(email__in=[purchase.email for purchase in purchases])
    made = dict(of_purchases.values_list("number", "status"))
    paid = {number for number, status in made.items() if status == "paid"}
    charged = Counter(c.order for c in charges_in(ledger) if c.order in made)
    if not len(purchases) == len(made) == len(paid) == charged.total() == len(charged):
        raise RuntimeError(
            f"Not every purchase was paid exactly once: {len(purchases)} purchases became "
            f"{len(made)} orders, of which {len(paid)} are paid, and {len(charged)} were charged "
            f"by {charged.total()} charges."
        )


def add_to(figures: Figures, rounds: Sequence[Shoppers], notes: Sequence[str]) -> None:
    """The longest wait is that of all rounds, and every press that was put off counts, because a
    median of rounds would hide one bad round of three."""
    waits = [Round(0, shoppers.waits()) for shoppers in rounds]
    longest = [presses.percentile(1) for presses in waits]
    each = "; ".join(f"{wait:.2f} s ({note})" for wait, note in zip(longest, notes, strict=True))
    figures.add("press → paid, median", "s", [presses.percentile(0.5) for presses in waits])
    figures.add("press → paid, longest", "s", [max(longest)], each)
    figures.add("presses put off", "presses", [sum(shoppers.put_off for shoppers in rounds)])
