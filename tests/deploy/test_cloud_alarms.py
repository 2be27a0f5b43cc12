"""A shop is broken in each way that has a page in the runbook. The log lines that its processes
then write go through the alarms of the template: exactly the right ones ring, and none before."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.attention.flags import put_before_a_person
from checkout.orders.attention.reasons import UNKNOWN_TOO_LONG
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import Mail, Order, OutboxMessage, WebhookDelivery
from checkout.orders.operations import cloudwatch
from checkout.orders.operations.gauges import measure_queue, measure_shop
from checkout.orders.operations.liveness import Alive
from checkout.orders.pausing import pause_payments
from checkout.orders.queue.setup import dead_letter_queue_name, ensure_queues
from checkout.orders.queue.sqs import PaymentsQueue, sqs_client
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from checkout.orders.webhooks.endpoints import add_endpoint
from checkout.runtime import metrics
from config.local.sqs_double.server import QueueServer
from payments.books.lost_orders import note_lost, sample_lost
from payments.settling.refused_shop import begin_refusal, sample_refusal
from tests.deploy.cloud_alarms import Alarms, Minutes, calculated
from tests.deploy.templates import new_name, template
from tests.support.cloudwatch import Figure, figures, written
from tests.support.factories import placed_order

KINDS = ("web", "publisher", "worker", "mailer", "webhook_sender")

GIB = 2**30
DATABASE = "once-shop"

# Longer than any alarm looks back.
LONG = 60


@dataclass
class Shop:
    """What of it lives, and what of it only Amazon sees."""

    product: Product
    queue: PaymentsQueue
    alive: Sequence[str] = KINDS
    database_answers: bool = True
    free_bytes: float = 15 * GIB
    oldest_message_seconds: float = 0.0
    while_it_runs: Callable[[], object] = field(default=lambda: None)

    def one_minute(self) -> list[Figure]:
        """The figures of the lines that its processes write, and those of Amazon."""
        found = [figure for kind in self.alive for figure in figures(self._written_by(kind))]
        return [*found, *self._seen_by_amazon()]

    def _written_by(self, kind: str) -> list[str]:
        now = timezone.now()
        with written() as lines:
            # A look that fails writes nothing: tests/orders/test_cloudwatch.py
            if kind == "worker" and self.database_answers:
                measure_queue(self.queue, now=now)
                sample_refusal()
                sample_lost()
                cloudwatch.tell_of_queue()
                self.while_it_runs()
            if kind == "publisher" and self.database_answers:
                measure_shop(now=now)
            if kind == "web":
                cloudwatch.tell_of_process(kind)
            else:
                Alive(kind).beat()
        return lines

    def _seen_by_amazon(self) -> Iterator[Figure]:
        queue, dead = self.queue.url.rpartition("/")[2], dead_letter_queue_name()
        visible = self.queue.dead_letter_queue().counts().waiting
        for namespace, name, dimension, value in [
            ("AWS/SQS", "ApproximateNumberOfMessagesVisible", ("QueueName", dead), visible),
            (
                "AWS/SQS",
                "ApproximateAgeOfOldestMessage",
                ("QueueName", queue),
                self.oldest_message_seconds,
            ),
            (
                "AWS/RDS",
                "FreeStorageSpace",
                ("DBInstanceIdentifier", DATABASE),
                self.free_bytes,
            ),
        ]:
            yield Figure(namespace, name, frozenset({dimension}), value, 0)


@pytest.fixture
def queue(exact_sqs: QueueServer, settings: Settings) -> PaymentsQueue:
    """Not that of a stack: the template's alarms are read, and not made."""
    settings.PAYMENTS_QUEUE_NAME = f"{new_name('payments')}.fifo"
    ensure_queues()
    return PaymentsQueue.connect()


@pytest.fixture
def alarms(queue: PaymentsQueue, settings: Settings) -> Alarms:
    found = Alarms(
        template("alarms"),
        {
            "PaymentsQueueName": settings.PAYMENTS_QUEUE_NAME,
            "DeadLetterQueueName": dead_letter_queue_name(),
            "DatabaseName": DATABASE,
        },
    )
    settings.CLOUDWATCH_NAMESPACE = found.namespace
    return found


@pytest.fixture
def shop(alarms: Alarms, queue: PaymentsQueue, shelf: list[Product]) -> Shop:
    return Shop(shelf[0], queue)


def ago(**time: float) -> timedelta:
    return timedelta(**time)


# --- Each way in which a shop breaks --------------------------------------------------------------


def no_publisher_reaches_the_queue(shop: Shop) -> None:
    placed_order(shop.product)
    OutboxMessage.objects.update(available_at=timezone.now() - ago(minutes=5))


def payments_wait(shop: Shop) -> None:
    placed_order(shop.product)
    OutboxMessage.objects.update(published_at=timezone.now())
    Order.objects.update(status_changed_at=timezone.now() - ago(minutes=25))


def messages_wait(shop: Shop) -> None:
    shop.oldest_message_seconds = 700


def payments_are_paused(shop: Shop) -> None:
    """And wait on purpose."""
    no_publisher_reaches_the_queue(shop)
    Order.objects.update(status_changed_at=timezone.now() - ago(minutes=25))
    messages_wait(shop)
    pause_payments(reason="Test", by="test", now=timezone.now())


def gateway_is_away(shop: Shop) -> None:
    def calls() -> None:
        metrics.GATEWAY_SECONDS.labels("confirm", "OutcomeUnknown").observe(8)
        metrics.GATEWAY_SECONDS.labels("open", "NotExecuted").observe(8)
        metrics.GATEWAY_SECONDS.labels("open", "opened").observe(0.3)

    shop.while_it_runs = calls


def gateway_refuses_the_shop(shop: Shop) -> None:
    begin_refusal("example", "key_withdrawn", now=timezone.now())


def webhooks_are_refused(shop: Shop) -> None:
    shop.while_it_runs = lambda: metrics.WEBHOOKS.labels("bad_signature").inc()


def queue_holds_poison(shop: Shop) -> None:
    shop.while_it_runs = lambda: metrics.HANDLED.labels("poison").inc()


def letter_is_dead(shop: Shop) -> None:
    sqs_client().send_message(
        QueueUrl=shop.queue.dead_letter_queue().url,
        MessageBody="given up",
        MessageGroupId="one",
        MessageDeduplicationId="one",
    )


def letter_is_dead_and_no_worker_lives(shop: Shop) -> None:
    letter_is_dead(shop)
    without("worker")(shop)


def lease_ran_out(shop: Shop) -> None:
    shop.while_it_runs = metrics.LEASES_EXPIRED.inc


def work_fails(shop: Shop) -> None:
    shop.while_it_runs = lambda: metrics.HANDLED.labels("failed").inc()


def disk_is_nearly_full(shop: Shop) -> None:
    shop.free_bytes = 3.9 * GIB


def database_is_away(shop: Shop) -> None:
    shop.database_answers = False


def mails_wait(shop: Shop) -> None:
    paid(shop)
    Mail.objects.update(available_at=timezone.now() - ago(minutes=15))


def webhooks_wait(shop: Shop) -> None:
    add_endpoint("https://127.0.0.1:9/hook")
    paid(shop)
    WebhookDelivery.objects.update(available_at=timezone.now() - ago(minutes=15))


def webhook_was_given_up(shop: Shop) -> None:
    shop.while_it_runs = lambda: metrics.WEBHOOKS_SENT.labels("given_up").inc()


def order_needs_a_person(shop: Shop) -> None:
    put_before_a_person(paid(shop).pk, UNKNOWN_TOO_LONG, now=timezone.now())


def parcel_waits(shop: Shop) -> None:
    Order.objects.filter(pk=paid(shop).pk).update(status_changed_at=timezone.now() - ago(days=4))


def order_is_lost(shop: Shop) -> None:
    lost = OrderIdentity(number="100482-61", reference="lost-reference", installation="ours")
    note_lost(lost, now=timezone.now())


def without(kind: str) -> Callable[[Shop], None]:
    def broken(shop: Shop) -> None:
        shop.alive = [each for each in KINDS if each != kind]

    broken.__name__ = f"no_{kind}_lives"
    return broken


def paid(shop: Shop) -> Order:
    order = placed_order(shop.product)
    assert transition(order.pk, OrderStatus.PAID, reason="Test", now=timezone.now())
    OutboxMessage.objects.update(published_at=timezone.now())
    return order


BROKEN: list[tuple[Callable[[Shop], None], set[str]]] = [
    (no_publisher_reaches_the_queue, {"OutboxWaitsAlarm"}),
    (payments_wait, {"PaymentsWaitAlarm"}),
    (messages_wait, {"OldestMessageAlarm"}),
    (payments_are_paused, {"PaymentsPausedAlarm"}),
    (gateway_is_away, {"GatewayAwayAlarm"}),
    (gateway_refuses_the_shop, {"GatewayRefusesShopAlarm"}),
    (webhooks_are_refused, {"WebhooksRefusedAlarm"}),
    (queue_holds_poison, {"PoisonMessageAlarm"}),
    (letter_is_dead, {"DeadLetterAlarm"}),
    (letter_is_dead_and_no_worker_lives, {"DeadLetterAlarm", "WorkerMissingAlarm"}),
    (lease_ran_out, {"LeaseExpiredAlarm"}),
    (work_fails, {"WorkFailsAlarm"}),
    (disk_is_nearly_full, {"DatabaseDiskAlarm"}),
    (database_is_away, {"DatabaseAwayAlarm"}),
    (mails_wait, {"MailsWaitAlarm"}),
    (webhooks_wait, {"WebhooksWaitAlarm"}),
    (webhook_was_given_up, {"WebhooksGivenUpAlarm"}),
    (order_needs_a_person, {"NeedsPersonAlarm"}),
    (parcel_waits, {"ParcelsWaitAlarm"}),
    (order_is_lost, {"LostOrdersAlarm"}),
    (without("web"), {"WebMissingAlarm"}),
    (without("publisher"), {"PublisherMissingAlarm"}),
    (without("worker"), {"WorkerMissingAlarm"}),
    (without("mailer"), {"MailerMissingAlarm"}),
    (without("webhook_sender"), {"WebhookSenderMissingAlarm"}),
]


@pytest.mark.parametrize(
    ("break_", "expected"), BROKEN, ids=[break_.__name__ for break_, _ in BROKEN]
)
def test_exactly_the_right_alarms_ring(
    shop: Shop, alarms: Alarms, break_: Callable[[Shop], None], expected: set[str]
) -> None:
    healthy = shop.one_minute()
    assert alarms.ringing(Minutes(healthy, LONG, healthy)) == set()

    break_(shop)
    broken = shop.one_minute()

    assert alarms.ringing(Minutes(broken, LONG, healthy)) == expected


def test_no_alarm_rings_for_a_shop_that_sells(shop: Shop, alarms: Alarms) -> None:
    paid(shop)

    def works() -> None:
        metrics.OUTCOMES.labels("paid").inc(5)
        metrics.OUTCOMES.labels("declined").inc()
        for _ in range(10):
            metrics.GATEWAY_SECONDS.labels("confirm", "paid").observe(0.3)
        metrics.GATEWAY_SECONDS.labels("confirm", "OutcomeUnknown").observe(8)

    shop.while_it_runs = works
    minute = shop.one_minute()

    assert alarms.ringing(Minutes(minute, LONG, minute)) == set()


def test_every_alarm_is_rung_by_some_shop(alarms: Alarms) -> None:
    assert set.union(*(expected for _, expected in BROKEN)) == set(alarms.by_name)


def test_every_figure_that_an_alarm_asks_for_is_written(shop: Shop, alarms: Alarms) -> None:
    told = {(each.namespace, each.name, each.dimensions) for each in shop.one_minute()}

    asked = {(each.namespace, each.name, each.dimensions) for each in alarms.metrics()}
    assert len(asked) > 20
    assert asked - told == set()


@pytest.mark.parametrize(("minutes", "rings"), [(1, False), (2, False), (3, True)])
def test_a_process_that_is_replaced_at_once_wakes_nobody(
    shop: Shop, alarms: Alarms, minutes: int, rings: bool
) -> None:
    """The queue is empty all the while: only that nobody writes can tell."""
    healthy = shop.one_minute()
    without("publisher")(shop)

    ringing = alarms.ringing(Minutes(shop.one_minute(), minutes, healthy))

    assert ringing == ({"PublisherMissingAlarm"} if rings else set())


@pytest.mark.parametrize(("minutes", "rings"), [(55, False), (60, True)])
def test_a_pause_is_told_after_an_hour(
    shop: Shop, alarms: Alarms, minutes: int, rings: bool
) -> None:
    healthy = shop.one_minute()
    payments_are_paused(shop)

    ringing = alarms.ringing(Minutes(shop.one_minute(), minutes, healthy))

    assert ringing == ({"PaymentsPausedAlarm"} if rings else set())


@pytest.mark.parametrize(
    ("expression", "values", "result"),
    [
        ("IF(paused > 0, 0, age)", {"paused": 1, "age": 90}, 0),
        ("IF(paused > 0, 0, age)", {"paused": 0, "age": 90}, 90),
        ("FILL(a, 0) + FILL(b, 0)", {"a": float("nan"), "b": 2}, 2),
        ("nothing / calls", {"nothing": 1, "calls": 4}, 0.25),
    ],
)
def test_expressions_are_calculated(
    expression: str, values: dict[str, float], result: float
) -> None:
    assert calculated(expression, values) == result


def test_nothing_divided_by_nothing_is_missing() -> None:
    assert str(calculated("a / b", {"a": 0, "b": 0})) == "nan"
