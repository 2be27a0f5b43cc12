"""The lines that CloudWatch makes metrics of have the shape that it asks for, tell the figures that
Prometheus is told, and hold nothing else."""

import json
import time
from datetime import timedelta

import pytest
from django.conf import settings as configured
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.middleware.cloudwatch import tell_cloudwatch
from checkout.orders.models import OutboxMessage, ProcessAlive
from checkout.orders.operations import cloudwatch
from checkout.orders.operations.gauges import measure_queue, measure_shop
from checkout.orders.operations.liveness import STALE_AFTER_SECONDS, Alive
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.queue.sqs import PaymentsQueue
from checkout.runtime import metrics
from config.local.sqs_double.server import QueueServer
from tests.support.cloudwatch import NAMESPACE, figures, written
from tests.support.factories import placed_order

LOGGED = {"asctime", "levelname", "name", "message", "trace_id", "_aws"}


@pytest.fixture
def _told(settings: Settings) -> None:
    settings.CLOUDWATCH_NAMESPACE = NAMESPACE


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + seconds)


@pytest.mark.usefixtures("_told")
def test_publisher_tells_how_the_shop_stands(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    OutboxMessage.objects.update(available_at=timezone.now() - timedelta(minutes=5))

    with written() as lines:
        measure_shop(now=timezone.now())

    [line] = lines
    told = {figure.name: figure for figure in figures(lines)}
    assert set(told) == {figure.name for figure in cloudwatch.SHOP}
    assert 299 < told["OutboxAgeSeconds"].value < 330
    assert told["OutboxAgeSeconds"].namespace == NAMESPACE
    assert told["OutboxAgeSeconds"].dimensions == frozenset()
    assert set(json.loads(line)) == LOGGED | set(told)
    assert order.number not in line


@pytest.mark.usefixtures("_told")
def test_worker_tells_how_the_queue_stands(queue: PaymentsQueue, db: None) -> None:
    with written() as lines:
        measure_queue(queue, now=timezone.now())
        cloudwatch.tell_of_queue()

    assert {each.name: each.value for each in figures(lines)}["DeadLetters"] == 0
    assert {each.name for each in figures(lines)} == {each.name for each in cloudwatch.QUEUE}


def test_backlog_is_told_for_each_worker_that_lives(
    shelf: list[Product], exact_sqs: QueueServer, queue: PaymentsQueue
) -> None:
    """A worker of several processes is one, and one that died does no work."""
    now = timezone.now()
    alive = {"one:1": 0, "one:2": 30, "two:1": 0, "dead:1": STALE_AFTER_SECONDS + 1}
    for name, age in alive.items():
        ProcessAlive.objects.create(name=name, kind="worker", seen_at=now - timedelta(seconds=age))
    ProcessAlive.objects.create(name="three:1", kind="mailer", seen_at=now)
    for _ in range(3):
        placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())

    measure_queue(queue, now=now)

    assert cloudwatch.Figure("", metrics.BACKLOG_PER_WORKER).value() == 1.5


@pytest.mark.usefixtures("_told")
def test_process_tells_that_it_lives_and_what_it_counted_since(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with written() as lines:
        metrics.OUTCOMES.labels("paid").inc(3)
        metrics.OUTCOMES.labels("declined").inc()
        metrics.GATEWAY_SECONDS.labels("confirm", "OutcomeUnknown").observe(8)
        metrics.GATEWAY_SECONDS.labels("confirm", "paid").observe(0.3)
        Alive("worker").beat()
        metrics.OUTCOMES.labels("paid").inc()
        Alive("worker").beat()  # too early for another line
        later(monkeypatch, cloudwatch.TELL_EVERY_SECONDS + 1)
        Alive("worker").beat()

    told = [{each.name: each for each in figures([line])} for line in lines]
    assert [each["OrdersPaid"].value for each in told] == [3, 1]
    assert [each["PaymentsDeclined"].value for each in told] == [1, 0]
    assert [each["GatewayCalls"].value for each in told] == [2, 0]
    assert [each["GatewayCallsWithoutOutcome"].value for each in told] == [1, 0]
    assert {each["Alive"].dimensions for each in told} == {frozenset({("Process", "worker")})}
    assert told[0]["OrdersPaid"].dimensions == frozenset()
    names = {each.name for each in cloudwatch.COUNTED} | {"Alive", "Process"}
    assert set(json.loads(lines[0])) == LOGGED | names


@pytest.mark.usefixtures("_told")
def test_a_look_that_fails_tells_nothing(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    """Yesterday's figure would hide that nobody looks."""

    def no_answer() -> None:
        raise TimeoutError

    monkeypatch.setattr("checkout.orders.operations.shop_state.current_pause", no_answer)

    with written() as lines, pytest.raises(TimeoutError):
        measure_shop(now=timezone.now())

    assert lines == []


@pytest.mark.usefixtures("_told")
def test_every_figure_is_one_of_prometheus_and_has_a_name_of_its_own() -> None:
    everything = (*cloudwatch.SHOP, *cloudwatch.QUEUE, *cloudwatch.COUNTED)

    assert len({figure.name for figure in everything}) == len(everything)
    for figure in everything:
        assert figure.metric in vars(metrics).values()
        figure.value()  # of a metric that can be read


def test_nothing_is_told_unless_a_namespace_is_set(
    db: None, queue: PaymentsQueue, client: Client
) -> None:
    assert configured.CLOUDWATCH_NAMESPACE == ""

    with written() as lines:
        measure_shop(now=timezone.now())
        cloudwatch.tell_of_queue()
        Alive("publisher").beat()
        client.get("/healthz")

    assert lines == []


@pytest.mark.usefixtures("_told")
def test_web_process_tells_after_a_request() -> None:
    answer = object()

    with written() as lines:
        told = tell_cloudwatch(lambda request: answer)(None)  # type: ignore[arg-type, return-value] # no request is read

    assert told is answer
    assert ("Process", "web") in figures(lines)[0].dimensions
