"""The crash matrix of what is charged when it is sent: a parcel is charged once, and what is given
up is never charged, whatever died.
"""

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.cancelling import cancel_paid
from checkout.orders.dispatch.ship import ship
from checkout.orders.models import Order
from checkout.orders.placing.place import place_order
from checkout.orders.queue.sqs import PaymentsQueue
from checkout.orders.states import Canceller
from config.local.sqs_double.server import QueueServer
from payments.books.audit import audit_database
from payments.books.gateway_audit import audit_gateway
from payments.models import Capture, Payment
from payments.states import PaymentStatus
from tests.support.crashes import DEATHS, Afterwards, each_once, work_through
from tests.support.factories import OpenBasket, line, purchase
from tests.support.processes import ShopProcesses, eventually
from tests.support.till import Till, only

pytestmark = pytest.mark.usefixtures("exact_sqs")

CAPTURING = ["message received", "attempt committed", "capture sent", "capture recorded"]
SETTING_ASIDE = ["id stored", "confirm sent", "outcome committed"]
GIVING_UP = ["attempt committed", "cancel sent", "message deleted"]
# What happens there is the same as for any other message and any other card.
OF_ALL = ["message received", "attempt committed", "id stored", "confirm sent", "message deleted"]


@pytest.fixture(autouse=True)
def _short_times(settings: Settings) -> None:
    settings.MESSAGE_VISIBILITY_SECONDS = 3
    settings.PAYMENT_LEASE_SECONDS = 2
    settings.CAPTURE = "dispatch"


@pytest.fixture
def afterwards(till: Till, queue: PaymentsQueue, exact_sqs: QueueServer) -> Afterwards:
    return Afterwards(only(till.gateway), till.charges, queue, exact_sqs)


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    return place_order(purchase(), OpenBasket([line(shelf[0], 2)]), now=timezone.now())


def set_aside(order: Order, afterwards: Afterwards) -> None:
    afterwards.publish()
    afterwards.work()
    order.refresh_from_db()
    assert order.status == "authorised"


def send(order: Order, key: str, pieces: int) -> None:
    wanted = {order.lines.get().pk: pieces}
    ship(order, wanted, key=key, by="wim", now=timezone.now())


def work_with(fault: str, processes: ShopProcesses, afterwards: Afterwards) -> None:
    afterwards.publish()
    work_through(fault, processes, afterwards, CAPTURE="dispatch")


def everything_is_done(afterwards: Afterwards) -> None:
    """The worker that was started, or the one that took over, does the rest."""

    def is_done() -> bool:
        afterwards.time_passes()
        afterwards.publish()
        return afterwards.is_quiet()

    eventually(is_done, seconds=60, what="charging what was sent")


def found_by_audits(afterwards: Afterwards) -> list[str]:
    now = timezone.now()
    findings = [*audit_database(now), *audit_gateway(afterwards.gateways, now=now)]
    return [row for finding in findings for row in finding.rows]


@pytest.mark.parametrize("fault", each_once(*SETTING_ASIDE, acts=DEATHS, leave_out=OF_ALL))
def test_worker_fails_while_it_sets_the_price_aside(
    processes: ShopProcesses, afterwards: Afterwards, order: Order, fault: str
) -> None:
    work_with(fault, processes, afterwards)

    order.refresh_from_db()
    assert (order.status, afterwards.charges()) == ("authorised", [])
    send(order, "all", 2)
    everything_is_done(afterwards)
    afterwards.assert_one_order_one_charge()


@pytest.mark.parametrize("fault", each_once(*CAPTURING, acts=DEATHS, leave_out=OF_ALL))
def test_worker_fails_while_it_charges_a_parcel(
    processes: ShopProcesses, afterwards: Afterwards, order: Order, fault: str
) -> None:
    set_aside(order, afterwards)
    send(order, "one", 1)
    work_with(fault, processes, afterwards)
    after_one = [charge.amount_minor for charge in afterwards.charges()]
    send(order, "another", 1)
    everything_is_done(afterwards)

    order.refresh_from_db()
    assert after_one == [1001]
    assert [charge.amount_minor for charge in afterwards.charges()] == [1001, 1001]
    assert [capture.status for capture in Capture.objects.all()] == ["captured", "captured"]
    assert (order.status, order.authorised_until) == ("paid", None)
    assert found_by_audits(afterwards) == []


@pytest.mark.parametrize("fault", each_once(*GIVING_UP, begin=2, acts=DEATHS, leave_out=OF_ALL))
def test_worker_fails_while_it_gives_up_what_was_set_aside(
    processes: ShopProcesses, afterwards: Afterwards, order: Order, fault: str
) -> None:
    set_aside(order, afterwards)
    cancel_paid(order, Canceller.CUSTOMER, by="", why="", now=timezone.now())
    work_with(fault, processes, afterwards)

    order.refresh_from_db()
    assert (order.status, afterwards.charges()) == ("cancelled", [])
    assert Payment.objects.get().status == PaymentStatus.CANCELLED
    assert found_by_audits(afterwards) == []
