"""Deploys while people buy: web, publisher and worker processes end and start all the time,
and nobody notices."""

import itertools
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from subprocess import Popen

import pytest
import requests
from django.utils import timezone
from urllib3.exceptions import NewConnectionError

from checkout.orders.models import Order
from checkout.orders.queue.setup import dead_letter_queue_name
from config.local.sqs_double.server import QueueServer
from payments.books.audit import audit_database
from payments.books.gateway_audit import audit_gateway
from tests.support.long import at_length
from tests.support.processes import ShopProcesses, eventually
from tests.support.shopper import Answer, OverHttp, Shopper, somebody_else
from tests.support.till import Till, assert_each_paid_once, only

pytestmark = pytest.mark.usefixtures("exact_sqs")

WEB, PUBLISHER, WORKER = KINDS = ("web", "publisher", "worker")
READY = {PUBLISHER: "Publishing to", WORKER: "Receiving from"}

# Of one process each; the few are two of each kind.
FEW_RESTARTS, RESTARTS = 3, 50
SHOPPERS = 4

# So many for one shopper at most, should a restart never come to its end.
PURCHASES_AT_MOST = 1000

# Between two purchases of one shopper: leaves the machine to those who start, and where there are
# few restarts, to other tests.
LONG_PAUSE_SECONDS, PAUSE_SECONDS = 0.5, 0.1

# From the balancer's last connection to a process to its SIGTERM: more than an accept takes.
TAKEN_OUT_SECONDS = 0.8


class Balancer:
    """Sends each request to the next web process, or to the other one where it is refused.

    It is told before a process ends, and gives that one no more connections; what is in progress
    there is left to the process to finish. gunicorn resets connections that it has not accepted
    when it ends, so a deploy without this shows a few shoppers a 502. A request that was sent is
    never sent again here, for it may have been executed: what breaks then counts as a 502.
    """

    def __init__(self, *urls: str) -> None:
        self.urls = list(urls)
        self.statuses: Counter[int] = Counter()
        self.broken: list[str] = []
        self.refused = 0
        self._turns = itertools.count()
        self._lock = threading.Lock()

    def take_out(self, url: str) -> None:
        self.urls = [other for other in self.urls if other != url]

    def put_in(self, url: str) -> None:
        self.urls = [*self.urls, url]

    def forward(self, send: Callable[[str], Answer]) -> Answer:
        answer = self._first_to_take(send)
        with self._lock:
            self.statuses[answer.status] += 1
        return answer

    def _first_to_take(self, send: Callable[[str], Answer]) -> Answer:
        urls, turn = self.urls, next(self._turns)
        for offset in range(len(urls)):
            try:
                return send(urls[(turn + offset) % len(urls)])
            except requests.ConnectionError as error:
                if not was_refused(error):
                    self.broken.append(str(error))
                    return Answer(502, "", str(error))
                self.refused += 1
        return Answer(502, "", "No process takes connections.")


def was_refused(error: requests.ConnectionError) -> bool:
    return isinstance(getattr(error.args[0], "reason", None), NewConnectionError)


class Balanced(OverHttp):
    """A browser that knows the balancer only, which opens a connection for each request."""

    def __init__(self, balancer: Balancer) -> None:
        super().__init__("")
        self.balancer = balancer
        self.session.headers["Connection"] = "close"

    def get(self, path: str) -> Answer:
        return self.balancer.forward(lambda url: super(Balanced, self).get(url + path))

    def post(self, path: str, data: dict[str, str]) -> Answer:
        return self.balancer.forward(lambda url: super(Balanced, self).post(url + path, data))


@dataclass
class Crowd:
    """Shoppers who buy until they are told to stop."""

    balancer: Balancer
    pause_seconds: float
    closing: threading.Event = field(default_factory=threading.Event)

    def shop(self) -> list[str]:
        """The addresses of the orders that were acknowledged to one shopper."""
        acknowledged = []
        for _ in range(PURCHASES_AT_MOST):
            if self.closing.wait(self.pause_seconds):
                break
            shopper = Shopper(Balanced(self.balancer), somebody_else())
            answer = shopper.buy("SKU-01")
            assert shopper.look(answer).status == 200
            acknowledged.append(answer.location)
        return acknowledged


class Fleet:
    """Two processes of each kind, of which one at a time is restarted."""

    def __init__(self, processes: ShopProcesses) -> None:
        self.processes = processes
        self.webs = [processes.web(), processes.web()]
        self.others = {kind: [self.start(kind), self.start(kind)] for kind in READY}
        self.balancer = Balancer(*(web.url for web in self.webs))
        self.restarts: Counter[str] = Counter()
        self.wait_for_readiness()

    def start(self, kind: str) -> Popen[bytes]:
        return self.processes.worker() if kind == WORKER else self.processes.publisher()

    def wait_for_readiness(self) -> None:
        for kind, pair in self.others.items():
            for process in pair:
                is_ready = partial(self.processes.has_said, process, READY[kind])
                eventually(is_ready, seconds=60, what=f"the start of a {kind}")

    def restart(self, kinds: Sequence[str]) -> None:
        """Of each kind the older process ends; then new ones start, all at once."""
        if WEB in kinds:
            self.balancer.take_out(self.webs[0].url)
            time.sleep(TAKEN_OUT_SECONDS)
        ending = [self.others[kind].pop(0) for kind in kinds if kind != WEB]
        if WEB in kinds:
            ending.append(self.webs.pop(0).process)
        for process in ending:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(timeout=60) for process in ending] == [0] * len(kinds)
        for kind in kinds:
            if kind != WEB:
                self.others[kind].append(self.start(kind))
        if WEB in kinds:
            self.webs.append(self.processes.web())
            self.balancer.put_in(self.webs[-1].url)
        self.wait_for_readiness()
        self.restarts.update(kinds)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("restarts", "pause_seconds"),
    [(FEW_RESTARTS, LONG_PAUSE_SECONDS), *at_length((RESTARTS, PAUSE_SECONDS))],
)
def test_restarts_under_load_are_not_noticed(
    processes: ShopProcesses,
    exact_sqs: QueueServer,
    till: Till,
    restarts: int,
    pause_seconds: float,
) -> None:
    fleet = Fleet(processes)
    crowd = Crowd(fleet.balancer, pause_seconds)
    began = time.monotonic()

    with ThreadPoolExecutor(SHOPPERS) as pool:
        shopping = [pool.submit(crowd.shop) for _ in range(SHOPPERS)]
        try:
            while left := restarts - fleet.restarts.total():
                fleet.restart(KINDS[:left])
        finally:
            crowd.closing.set()
        acknowledged = [location for shopper in shopping for location in shopper.result()]
    took = time.monotonic() - began

    balancer = fleet.balancer
    print(
        f"\n{fleet.restarts.total()} restarts in {took:.0f} s ({dict(fleet.restarts)}); "
        f"{len(acknowledged)} orders, answers {dict(balancer.statuses)}, "
        f"{balancer.refused} connections refused and sent to the other process"
    )
    assert balancer.broken == []
    assert [status for status in balancer.statuses if status >= 500] == []
    assert len(acknowledged) > restarts
    assert_each_paid_once(till)
    stored = [f"/orders/{order.reference}/" for order in Order.objects.all()]
    assert sorted(acknowledged) == sorted(stored)
    assert [entry for entry in exact_sqs.journal if entry["did"] == "moved"] == []
    assert exact_sqs.messages()[dead_letter_queue_name()] == []
    now = timezone.now()
    findings = [*audit_database(now), *audit_gateway(only(till.gateway), now=now)]
    assert [row for finding in findings for row in finding.rows] == []
