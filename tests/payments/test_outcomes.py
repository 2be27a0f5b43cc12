"""Each answer a gateway can give, at each step: over the real worker, queue and database."""

from collections.abc import Callable, Iterator

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.queue.setup import dead_letter_queue_name
from checkout.orders.queue.sqs import PaymentsQueue
from payments.gateways.base import (
    GatewayError,
    GatewayMisconfigured,
    NotExecuted,
    OutcomeUnknown,
    PaymentMethodRefused,
)
from payments.gateways.stripe.client import StripeGateway
from payments.worker.worker import Worker
from tests.doubles.gateway import Act, FaultyGateway
from tests.payments.test_worker import running
from tests.support.factories import placed_order
from tests.support.processes import eventually
from tests.support.shopper import Shopper
from tests.support.till import Till, only

VISA, DECLINED = "pm_card_visa", "pm_card_chargeDeclined"
ASKED = "pm_card_authenticationRequired"


def once(error: GatewayError) -> Act:
    errors: Iterator[GatewayError] = iter([error])

    def act() -> None:
        if first := next(errors, None):
            raise first

    return act


def nothing(faulty: FaultyGateway) -> None:
    pass


def before(step: str, error: GatewayError) -> Callable[[FaultyGateway], None]:
    return lambda faulty: faulty.before.update({step: once(error)})


def after(step: str, error: GatewayError) -> Callable[[FaultyGateway], None]:
    return lambda faulty: faulty.after.update({step: once(error)})


def lost_answer_then(
    step: Callable[[FaultyGateway], None] = nothing,
) -> Callable[[FaultyGateway], None]:
    """Has the payment asked for by its id: the answer to its confirmation is lost."""

    def arrange(faulty: FaultyGateway) -> None:
        after("confirm", OutcomeUnknown("timeout"))(faulty)
        step(faulty)

    return arrange


CASES = [
    # what happens, the card, how it ends
    ("open: not executed", before("open", NotExecuted("rate_limit")), VISA, "paid"),
    ("open: unknown", after("open", OutcomeUnknown("timeout")), VISA, "paid"),
    ("open: refused", before("open", PaymentMethodRefused("gone")), VISA, "payment_failed"),
    ("open: misconfigured", before("open", GatewayMisconfigured("key")), VISA, "paid"),
    ("confirm: paid", nothing, VISA, "paid"),
    ("confirm: declined", nothing, DECLINED, "payment_failed"),
    ("confirm: not executed", before("confirm", NotExecuted("key_in_use")), VISA, "paid"),
    ("confirm: unknown, not done", before("confirm", OutcomeUnknown("reset")), VISA, "paid"),
    ("confirm: unknown, done", after("confirm", OutcomeUnknown("timeout")), VISA, "paid"),
    ("confirm: asks customer", nothing, ASKED, "action_required"),
    ("confirm: misconfigured", before("confirm", GatewayMisconfigured("key")), VISA, "paid"),
    ("retrieve: paid", lost_answer_then(), VISA, "paid"),
    ("retrieve: declined", lost_answer_then(), DECLINED, "payment_failed"),
    ("retrieve: asks customer", lost_answer_then(), ASKED, "action_required"),
    (
        "retrieve: not executed",
        lost_answer_then(before("retrieve", NotExecuted("rate_limit"))),
        VISA,
        "paid",
    ),
    (
        "retrieve: unknown",
        lost_answer_then(before("retrieve", OutcomeUnknown("timeout"))),
        VISA,
        "paid",
    ),
    (
        "retrieve: misconfigured",
        lost_answer_then(before("retrieve", GatewayMisconfigured("key"))),
        VISA,
        "paid",
    ),
]

SENTENCES = {
    "paid": "You were charged once",
    "payment_failed": "You have not been charged",
    "action_required": "You are charged only if you approve it",
}


@pytest.mark.parametrize(
    ("arrange", "card", "ends"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
@pytest.mark.usefixtures("threads_leave_no_connection", "empty_receives_wait")
def test_outcome(
    shopper: Shopper,
    shelf: list[Product],
    settings: Settings,
    queue: PaymentsQueue,
    gateway: StripeGateway,
    till: Till,
    arrange: Callable[[FaultyGateway], None],
    card: str,
    ends: str,
) -> None:
    settings.SHOP_URL = "http://shop.example"
    placed = placed_order(shelf[0], payment_method=card)
    faulty = FaultyGateway(gateway)
    arrange(faulty)

    def has_ended() -> bool:
        if Order.objects.get().status == ends and not queue.counts().all:
            return True
        OutboxMessage.objects.update(available_at=timezone.now())  # later is now
        publish_outbox(queue, now=timezone.now())
        return False

    with running(Worker(queue, only(faulty), threads=2, wait_seconds=0)):
        eventually(has_ended, what=f"the order's state {ends}")

    order = Order.objects.get()
    assert [charge.order for charge in till.charges()] == [order.number] * (ends == "paid")
    assert SENTENCES[ends] in shopper.open_link(placed).words
    assert [key for step, key in faulty.calls if step == "confirm"] in (
        [],
        [order.payments.get().confirm_key],
        [order.payments.get().confirm_key] * 2,
    )
    dead = PaymentsQueue(queue._client, queue.url.replace(".fifo", "-dead.fifo"))
    assert dead_letter_queue_name() in dead.url
    assert dead.counts().all == 0
