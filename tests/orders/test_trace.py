"""The trace goes with the message, beside its body; with OpenTelemetry it is one tree of spans."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from django.db import connection
from django.utils import timezone
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.messages import VERSION
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.queue.sqs import Incoming, PaymentsQueue, sqs_client
from checkout.runtime import spans, trace
from payments.gateways.stripe.client import StripeGateway
from payments.worker.handle import Verdict, handle
from tests.config.test_settings import manage
from tests.support.factories import placed_order
from tests.support.shopper import TYPED, Shopper
from tests.support.till import Till, only

ROOT = Path(__file__).resolve().parents[2]
GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def received(queue: PaymentsQueue) -> list[Incoming]:
    return queue.receive(at_most=10, wait_seconds=1)


def test_each_message_of_a_batch_carries_its_own_trace(
    shelf: list[Product], queue: PaymentsQueue
) -> None:
    for given in (GIVEN, ""):
        with trace.in_trace(given):
            placed_order(shelf[0])
    first, second = Order.objects.order_by("id")

    publish_outbox(queue, now=timezone.now())

    carried = {json.loads(each.body)["order"]: each.traceparent for each in received(queue)}
    assert carried[first.number] == GIVEN
    assert len(trace.id_in(carried[second.number])) == 32  # begun by the publisher
    assert trace.id_in(carried[second.number]) != trace.id_in(GIVEN)


def test_trace_is_no_part_of_the_body(shelf: list[Product], queue: PaymentsQueue) -> None:
    with trace.in_trace(GIVEN):
        order = placed_order(shelf[0])

    publish_outbox(queue, now=timezone.now())

    [message] = received(queue)
    body = json.loads(message.body)
    assert set(body) == {"v", "order", "reference", "installation", "kind", "generation"}
    assert (body["v"], body["order"]) == (VERSION, order.number)


def test_message_of_a_release_without_traces_is_settled(
    shelf: list[Product], queue: PaymentsQueue, till: Till, gateway: StripeGateway
) -> None:
    order = placed_order(shelf[0])
    body = {"v": 1, "order": order.number, "kind": "settle_payment", "generation": 1}
    sqs_client().send_message(
        QueueUrl=queue.url,
        MessageBody=json.dumps(body),
        MessageGroupId=order.number,
        MessageDeduplicationId="1-1",
    )

    [message] = received(queue)

    assert message.traceparent == ""
    assert handle(message, only(gateway)) == (Verdict.DELETE, 0)
    assert len(till.charges()) == 1


def test_what_a_worker_asks_for_later_stays_in_the_trace(
    shelf: list[Product], till: Till, gateway: StripeGateway
) -> None:
    order = placed_order(shelf[0], payment_method="pm_sandbox_unavailable")
    OutboxMessage.objects.update(published_at=timezone.now())
    body = {"v": 1, "order": order.number, "kind": "settle_payment", "generation": 1}

    handle(
        Incoming(
            id="m-1",
            body=json.dumps(body),
            receipt_handle="r-1",
            receive_count=1,
            traceparent=GIVEN,
        ),
        only(gateway),
    )

    assert OutboxMessage.objects.latest("id").trace_id == trace.id_in(GIVEN)


def test_row_of_the_previous_release_has_no_trace(shelf: list[Product]) -> None:
    """Its INSERT does not name the column."""
    order = placed_order(shelf[0])
    OutboxMessage.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO orders_outboxmessage (order_id, kind, generation, available_at)"
            " VALUES (%s, 'settle_payment', 1, now())",
            [order.pk],
        )

    assert OutboxMessage.objects.get().traceparent == ""
    assert order.traceparent == ""


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(spans, "_tracer", lambda: provider.get_tracer("once"))
    yield exporter
    provider.shutdown()


def test_spans_are_one_tree_from_the_request_to_the_gateway_call(
    collected: InMemorySpanExporter,
    shopper: Shopper,
    queue: PaymentsQueue,
    till: Till,
    gateway: StripeGateway,
) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    collected.clear()

    shopper.submit(form)
    publish_outbox(queue, now=timezone.now())
    [message] = received(queue)
    handle(message, only(gateway))

    found = collected.get_finished_spans()
    names = ["request", "publish", "gateway call", "gateway call", "handle"]
    assert [span.name for span in found] == names
    request, publish, opened, confirmed, handled = found
    assert [parent_of(span, found) for span in found] == [
        None,
        request,
        handled,
        handled,
        publish,
    ]
    assert {span.context.trace_id for span in found if span.context} == {
        int(OutboxMessage.objects.get().trace_id, 16)
    }
    assert dict(request.attributes or {}) == {
        "method": "POST",
        "route": "checkout/",
        "status": 303,
    }
    assert (opened.attributes or {})["outcome"] == "open"
    assert (confirmed.attributes or {})["outcome"] == "paid"
    everything = " ".join(span.to_json() for span in found)
    personal = [typed for typed in TYPED.values() if typed != "IE"]
    assert [typed for typed in personal if typed in everything] == []
    assert Order.objects.get().reference not in everything


def parent_of(span: ReadableSpan, among: Sequence[ReadableSpan]) -> ReadableSpan | None:
    if span.parent is None:
        return None
    [parent] = [
        each for each in among if each.context and each.context.span_id == span.parent.span_id
    ]
    return parent


def test_span_tells_of_an_error_by_its_type_alone(collected: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="Ada"), trace.span("handle"):
        raise ValueError("Ada Quillfeather")

    [span] = collected.get_finished_spans()
    assert not span.status.is_ok
    assert span.status.description == "ValueError"
    assert "Ada" not in span.to_json()


WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
from checkout.runtime import spans, trace
assert not spans.HAS_OPENTELEMETRY
spans.start()
with trace.span("request") as traceparent:
    spans.set_attributes(status=200)
    assert trace.id_in(traceparent) == trace.trace_id() != ""
print("traced")
"""


def test_nothing_needs_opentelemetry() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr) == ("traced\n", "")


class Collector(BaseHTTPRequestHandler):
    requests: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[HTTPServer]:
    Collector.requests = []
    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


STEP = "from checkout.runtime import trace\nwith trace.span('a step of the test'): pass"


def test_spans_go_to_the_collector_that_the_environment_names(collector: HTTPServer) -> None:
    address = f"http://127.0.0.1:{collector.server_port}"

    manage("shell", "-v0", "-c", STEP)
    assert Collector.requests == []
    done = manage(
        "shell", "-v0", "-c", STEP, OTEL_EXPORTER_OTLP_ENDPOINT=address, OTEL_SERVICE_NAME="shop"
    )

    assert done.returncode == 0, done.stderr
    [(path, body)] = Collector.requests
    assert path == "/v1/traces"
    assert b"a step of the test" in body
