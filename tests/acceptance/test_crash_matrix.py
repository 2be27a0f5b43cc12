"""Every named place of the flow: the process dies there, or loses all its connections there.

Whatever happened, sending the same form again, starting the process again and letting time pass
lead to one order, one charge and clean books.
"""

import pytest
import requests
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.queue.sqs import PaymentsQueue
from checkout.runtime.faultpoints import PUBLISHER, WEB, WORKER
from config.local.sqs_double.server import QueueServer
from payments.models import Payment, Refund
from payments.refunds import request_refund
from tests.payments.test_webhooks import SECRET, event, signature
from tests.support.codes import counts_of, new_code
from tests.support.crashes import (
    DEATHS,
    SIGKILLED,
    Afterwards,
    each_once,
    faults,
    work_through,
)
from tests.support.factories import placed_order
from tests.support.processes import START_SECONDS, ShopProcesses, WebProcess, eventually
from tests.support.shopper import TYPED, OverHttp, Shopper
from tests.support.till import Till, only

pytestmark = pytest.mark.usefixtures("exact_sqs")

# A shopper gives up some time; nobody needs as many presses.
PRESSES = 6

SHOP = "http://shop.example"

PLACING = [place for place in WEB if place != "webhook stored"]
ROW_BY_ROW = [place for place in PLACING if place != "token verified"]
SETTLING = WORKER[: WORKER.index("refund sent")]
CASES = [faults(*WEB), faults(*PUBLISHER), faults(*WORKER, acts=DEATHS)]


@pytest.fixture(autouse=True)
def _short_times(settings: Settings) -> None:
    settings.MESSAGE_VISIBILITY_SECONDS = 3
    settings.PAYMENT_LEASE_SECONDS = 2
    settings.STRIPE_WEBHOOK_SECRETS = [SECRET]
    settings.SHOP_URL = SHOP


@pytest.fixture
def afterwards(till: Till, queue: PaymentsQueue, exact_sqs: QueueServer) -> Afterwards:
    return Afterwards(only(till.gateway), till.charges, queue, exact_sqs)


def test_matrix_is_whole() -> None:
    """Each place before and after, killed and cut; prints how many cases that makes."""
    count = sum(len(cases) for cases in CASES)
    places = len({*WEB, *PUBLISHER, *WORKER})
    print(f"\nCrash matrix: {count} cases of {places} places")
    assert count >= 60
    assert len(set().union(*CASES)) == count


@pytest.mark.parametrize("fault", each_once(*PLACING))
def test_web_process_fails_while_placing(
    processes: ShopProcesses, afterwards: Afterwards, shelf: list[Product], fault: str
) -> None:
    fail_while_placing(processes, afterwards, shelf[0], fault, TYPED)


@pytest.mark.parametrize("fault", each_once(*ROW_BY_ROW, begin=3))
def test_web_process_fails_while_placing_row_by_row(
    processes: ShopProcesses, afterwards: Afterwards, shelf: list[Product], fault: str
) -> None:
    """An order with a discount code is stored by many statements and a COMMIT."""
    code = new_code()

    fail_while_placing(processes, afterwards, shelf[0], fault, TYPED | {"code": code.code})

    assert counts_of(code) == (1, 1, 1)


def fail_while_placing(
    processes: ShopProcesses,
    afterwards: Afterwards,
    product: Product,
    fault: str,
    typed: dict[str, str],
) -> None:
    browser = OverHttp(processes.web(FAULT_POINT=fault).url)
    shopper = Shopper(browser, typed)
    shopper.add_to_cart("SKU-01", 2)
    form = shopper.open_checkout()
    before = product.stock
    if fault.startswith("kill"):
        with pytest.raises(requests.ConnectionError):
            shopper.submit(form)
        browser = browser.same_browser_at(processes.web().url)

    assert press_until_placed(Shopper(browser), form)

    afterwards.publish()
    afterwards.work()
    afterwards.assert_one_order_one_charge()
    product.refresh_from_db()
    assert product.stock == before - 2


def press_until_placed(shopper: Shopper, form: dict[str, str]) -> bool:
    for _ in range(PRESSES):
        try:
            answer = shopper.submit(form)
        except requests.ConnectionError:
            continue
        if answer.status == 303:
            assert shopper.look(answer).status == 200
            return True
        assert answer.status == 503, answer.words
    return False


@pytest.mark.parametrize("fault", each_once("webhook stored", begin=2))
def test_web_process_fails_while_storing_a_webhook(
    processes: ShopProcesses, afterwards: Afterwards, shelf: list[Product], fault: str
) -> None:
    order = placed_order(shelf[0], payment_method="pm_card_authenticationRequired")
    afterwards.publish()
    afterwards.work()
    order.refresh_from_db()
    requests.post(order.action_url, data={"answer": "approve"}, allow_redirects=False, timeout=10)
    web = processes.web(FAULT_POINT=fault, STRIPE_WEBHOOK_SECRETS=SECRET)
    body = event({"id": Payment.objects.get().gateway_payment_id})
    with pytest.raises(requests.ConnectionError):
        tell(web, body)
    if fault.startswith("kill"):
        web = processes.web(STRIPE_WEBHOOK_SECRETS=SECRET)

    assert tell(web, body) == 200  # the gateway sends again what was not answered

    afterwards.publish()
    afterwards.work()
    afterwards.assert_one_order_one_charge()


def tell(web: WebProcess, body: bytes) -> int:
    headers = {"Stripe-Signature": signature(body), "Content-Type": "application/json"}
    url = f"{web.url}/payments/webhooks/stripe/"
    return requests.post(url, body, headers=headers, timeout=20).status_code


@pytest.mark.parametrize("fault", each_once(*PUBLISHER))
def test_publisher_fails(
    processes: ShopProcesses, afterwards: Afterwards, shelf: list[Product], fault: str
) -> None:
    placed_order(shelf[0])
    publisher = processes.publisher(FAULT_POINT=fault)
    if fault.startswith("kill"):
        assert publisher.wait(timeout=START_SECONDS) == SIGKILLED
        publisher = processes.publisher()

    def converged() -> bool:
        afterwards.time_passes()
        afterwards.work()
        # Looked for in the order in which messages go, or one may be missed on its way to SQS.
        return afterwards.is_published() and afterwards.is_quiet()

    eventually(converged, seconds=60, what="publishing everything")
    assert publisher.poll() is None
    afterwards.assert_one_order_one_charge()


@pytest.mark.parametrize("fault", each_once(*SETTLING, acts=DEATHS))
def test_worker_fails_while_settling(
    processes: ShopProcesses, afterwards: Afterwards, shelf: list[Product], fault: str
) -> None:
    placed_order(shelf[0])
    afterwards.publish()

    work_through(fault, processes, afterwards)

    afterwards.assert_one_order_one_charge()


@pytest.mark.parametrize("fault", each_once("id stored", "confirm sent", acts=DEATHS))
def test_worker_fails_while_settling_what_a_token_pays(
    processes: ShopProcesses, afterwards: Afterwards, shelf: list[Product], fault: str
) -> None:
    """Stripe takes a token with the confirmation, and once."""
    placed_order(shelf[0], payment_method="ctoken_1_card_visa")
    afterwards.publish()

    work_through(fault, processes, afterwards, SHOP_URL=SHOP)

    afterwards.assert_one_order_one_charge()


@pytest.mark.parametrize("fault", each_once("refund sent", begin=3, acts=DEATHS))
def test_worker_fails_while_refunding(
    processes: ShopProcesses,
    afterwards: Afterwards,
    till: Till,
    shelf: list[Product],
    fault: str,
) -> None:
    placed_order(shelf[0])
    afterwards.publish()
    afterwards.work()
    payment = Payment.objects.get()
    now = timezone.now()
    request_refund(payment, amount_minor=400, reason="Torn", requested_by=None, now=now)
    afterwards.publish()

    work_through(fault, processes, afterwards)

    order = afterwards.assert_one_order_one_charge(status="partly_refunded")
    assert order.refunded_minor == 400
    assert [refund.status for refund in Refund.objects.all()] == ["succeeded"]
    sent_back = till.gateway.refunds_of(payment.gateway_payment_id)
    assert [refund.amount_minor for refund in sent_back] == [400]
