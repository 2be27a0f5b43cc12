"""A whole shop in one process, in steps that a test may put into any order."""

import hashlib
import hmac
import json
import re
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.core import signing
from django.db.models import F
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.test import Client

from checkout.catalogue.models import DiscountCode, Product, StockMovement
from checkout.catalogue.stock_changes import BelowZero, StaffEntry, change_stock
from checkout.orders.attention.reasons import REFUND_FAILED
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.outbox.sweep import expire_unpaid, sweep
from checkout.orders.queue.sqs import QUEUE_ERRORS, Incoming
from checkout.orders.states import EXPIRING, OrderStatus
from checkout.tokens import SALT
from payments.books.audit import PAID_STATUSES, audit_database
from payments.books.gateway_audit import audit_gateway
from payments.models import Payment, Refund
from payments.refunds import RefundImpossible, refundable_minor, request_refund
from payments.sandbox.account import Account, Request
from payments.sandbox.ledger import Ledger
from payments.sandbox.replies import Json
from payments.sandbox.server import SandboxServer
from payments.sandbox.webhooks import WebhookSender
from payments.states import UNSETTLED_REFUNDS, PaymentStatus
from payments.worker.handle import Verdict, handle
from tests.machine.books import Books, Violation, plain_cursor, require
from tests.machine.gateway import StoppingGateway
from tests.machine.hands import Hand, stop_here
from tests.machine.queue import InProcessQueue
from tests.support.clock import move_time
from tests.support.shelves import on_the_shelf
from tests.support.shopper import TYPED
from tests.support.shortcuts import deleting_from
from tests.support.till import only

WEBHOOK_SECRET = "whsec_of_the_machine"

# What is on the shelf at first: plenty, few, and the last one.
SHELF = {"PLENTY": (1250, 500), "FEW": (4999, 4), "LAST": (12900, 1)}

# Code → how many orders may have it; and one that the shop does not know.
CODES = {"ONCE": 1, "TWICE": 2}
NO_CODE = "NEVER"

SHOPPERS = 3

# An order that has been charged, whatever was sent back since.
CHARGED = (*PAID_STATUSES, OrderStatus.REFUNDED)

# So many workers and publishers may be in the middle of something.
HANDS = 3

# Whose rows each run begins without.
APPS = {"catalogue", "orders", "checkout", "payments", "sessions"}

# The sweep looks after what has been waiting for a quarter of an hour.
ROUND_SECONDS = 16 * 60

# An order is given up after a day, a refund is asked for hourly at the least: this is ample.
ROUNDS = 150

# A run has no more messages than this on their way at once.
MESSAGES = 100

T = TypeVar("T")


class Clock:
    """Stands still between steps, so that a sequence of steps sees the same times again."""

    def __init__(self) -> None:
        self._at = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self._at

    def seconds(self) -> float:
        return self._at.timestamp()

    def advance(self, seconds: float) -> None:
        self._at += timedelta(seconds=seconds)


def use_clock(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the shop's processes and for its database alike, which claims and leases run by."""

    def as_postgresql(now: Now, compiler: object, connection: object, **context: Any) -> Any:
        return "%s::timestamptz", [clock()]

    move_time(monkeypatch, clock)
    monkeypatch.setattr(Now, "as_postgresql", as_postgresql)


class NoLedger(Ledger):
    """What the gateway charged is read from its memory; a file would be flushed at each step."""

    def __init__(self) -> None:
        pass

    def read(self) -> list[Json]:
        return []

    def append(self, lines: object) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass(eq=False)
class Form:
    """A checkout page as it was rendered for one shopper."""

    shopper: "Visitor"
    token: str
    code: str = ""  # what is typed into it
    fields: dict[str, str] = field(default_factory=dict)  # as last sent

    @property
    def checkout_id(self) -> str:
        return str(self._content[0])

    @property
    def total_minor(self) -> int:
        return int(self._content[3])

    @property
    def _content(self) -> list[Any]:
        content: list[Any] = signing.loads(self.token, salt=SALT)
        return content

    def with_total(self, total_minor: int) -> str:
        """The token with another total under the old signature."""
        _, _, signature = self.token.partition(":")
        content = [*self._content[:3], total_minor, *self._content[4:]]
        return f"{signing.dumps(content, salt=SALT).partition(':')[0]}:{signature}"


@dataclass(eq=False)
class Visitor:
    client: Client
    forms: list[Form] = field(default_factory=list)


@dataclass
class World:
    """What is too slow to be made anew for each run."""

    sandbox: SandboxServer
    hands: list[Hand] = field(default_factory=lambda: [Hand() for _ in range(HANDS + 1)])
    clients: list[Client] = field(default_factory=lambda: [Client() for _ in range(SHOPPERS)])
    books: Books = field(default_factory=Books)

    def close(self) -> None:
        for hand in self.hands:
            hand.close()


class Shop:
    def __init__(self, world: World, set_clock: Callable[[Clock], None]) -> None:
        self.clock = Clock()
        set_clock(self.clock)
        self.world = world
        self.sandbox = world.sandbox
        self._renew_sandbox()
        self.gateway = StoppingGateway(self.sandbox)
        self.queue = InProcessQueue(self.clock.seconds)
        self.acknowledged: dict[str, tuple[str, int]] = {}
        self.seen_rounds: dict[str, int] = {}
        self.told_events: set[str] = set()
        self.hears_webhooks = True
        self.refunded_at_the_site = False
        for client in world.clients:
            client.cookies.clear()
        self.visitors = [Visitor(client) for client in world.clients]
        with plain_cursor() as cursor:
            # In one transaction, at whose end references are checked, if at all: any order will do.
            cursor.execute(deleting_from(shop_tables()))
        self.delivered = {sku: stock for sku, (_, stock) in SHELF.items()}
        on_the_shelf(
            Product(
                sku=sku, name=sku.title(), slug=sku.lower(), price_minor=price_minor, stock=stock
            )
            for sku, (price_minor, stock) in SHELF.items()
        )
        DiscountCode.objects.bulk_create(
            DiscountCode(code=code, kind="percent", percent=10, limit=limit)
            for code, limit in CODES.items()
        )

    def _renew_sandbox(self) -> None:
        self.sandbox.clock._base = self.clock
        self.sandbox.faults.calm()
        self.sandbox.faults.outage = False
        self.webhooks = WebhookSender(url="held", secret=WEBHOOK_SECRET, clock=self.clock)
        self.webhooks.hold = True  # the machine delivers them, or does not
        self.account = self.sandbox.account = Account(
            ledger=NoLedger(),
            clock=self.clock,
            pause=lambda seconds: None,
            slow_seconds=0,
            notify=self.webhooks.notify,
        )
        self.account.url = self.sandbox.url

    # The shopper

    def put_in_cart(self, visitor: Visitor, sku: str, quantity: int) -> None:
        answers = {303} if quantity else {400}  # nothing of something is no number to add
        self._post(visitor, "/cart/add/", {"sku": sku, "quantity": str(quantity)}, answers)

    def change_cart(self, visitor: Visitor, sku: str, quantity: int) -> None:
        self._post(visitor, "/cart/change/", {"sku": sku, "quantity": str(quantity)}, {303})

    def open_checkout(self, visitor: Visitor) -> Form | None:
        """None: nothing is in the cart, or it was bought already."""
        answer = visitor.client.get("/checkout/")
        if answer.status_code in {302, 303}:
            return None
        require(answer.status_code == 200, f"the checkout page answers {answer.status_code}")
        form = Form(visitor, answer.content.decode())
        visitor.forms.append(form)
        return form

    def submit(self, form: Form, payment_method: str) -> None:
        form.fields = TYPED | {
            "token": form.token,
            "payment_method": payment_method,
            "code": form.code,
        }
        self._send(form, form.fields)

    def send_again(self, form: Form, **edited: str) -> None:
        """The same form as before, or changed after the Back button."""
        self._send(form, form.fields | edited)

    def _send(self, form: Form, fields: dict[str, str]) -> None:
        known = self.acknowledged.get(form.checkout_id)
        refusals = {409, 422} if fields["code"] else {409}
        answer = self._post(form.shopper, "/checkout/", fields, {303, *refusals})
        if answer.status_code in refusals:
            require(known is None, "a form that was sent before does not lead to its order")
            self._shown_again(form, answer.content.decode(), is_refused=answer.status_code == 422)
            return
        found = re.fullmatch(r"/orders/([\w-]{22})/", answer.headers["Location"])
        require(found is not None, f"a purchase leads to {answer.headers['Location']}")
        assert found
        if known is None:
            order = Order.objects.get(reference=found[1])
            is_of_this_form = order.total_minor == form.total_minor
            require(is_of_this_form, f"seen {form.total_minor}, ordered {order.total_minor}")
            self.acknowledged[form.checkout_id] = (found[1], order.total_minor)
        else:
            require(found[1] == known[0], "one purchase leads to two orders")

    def _shown_again(self, form: Form, token: str, *, is_refused: bool) -> None:
        """The form comes back with another total; a code that was refused is taken out of it."""
        if form.code and token != form.token:
            again = Form(form.shopper, token, code="" if is_refused else form.code)
            form.shopper.forms.append(again)

    def forms(self) -> list[Form]:
        return [form for visitor in self.visitors for form in visitor.forms]

    def send_forged(self, token: str, *, visitor: Visitor) -> None:
        """Tampered with, or another shopper's."""
        fields = TYPED | {"token": token}
        self._post(visitor, "/checkout/", fields, {400})

    def look_at(self, order: Order) -> None:
        answer = self._customer_of(order).client.get(f"/orders/{order.reference}/")
        require(answer.status_code == 200, f"an order's page answers {answer.status_code}")
        if shown := answer.content.decode():
            self.seen_rounds[order.reference] = int(shown)

    def pay_again(self, order: Order, payment_method: str) -> None:
        """By the page as it was last looked at, which may be long ago."""
        if order.reference not in self.seen_rounds:
            self.look_at(order)
        shown = self.seen_rounds.get(order.reference)
        fields = {"payment_method": payment_method}
        if shown:
            fields["failed_round"] = str(shown)
        self._post(self._customer_of(order), f"/orders/{order.reference}/pay/", fields, {303})

    def _customer_of(self, order: Order) -> Visitor:
        return next(
            form.shopper for form in self.forms() if form.checkout_id == order.checkout_id.hex
        )

    def answer_the_bank(self, intent_id: str, *, approved: bool) -> None:
        self.account.authenticate(intent_id, approved=approved)

    def come_back(self, order_number: str) -> None:
        order = Order.objects.get(number=order_number)
        told = urlencode({"redirect_status": "succeeded"})
        answer = self._customer_of(order).client.get(f"/orders/{order.reference}/?{told}")
        require(answer.status_code == 302, f"coming back is answered by {answer.status_code}")

    def _post(self, visitor: Visitor, path: str, fields: dict[str, str], expected: set[int]) -> Any:
        answer = visitor.client.post(path, fields)
        if answer.status_code not in expected:
            raise Violation(f"POST {path} is answered by {answer.status_code}")
        return answer

    # Staff

    def reprice(self, sku: str, change_minor: int) -> None:
        Product.objects.filter(sku=sku).update(price_minor=F("price_minor") + change_minor)

    def add_stock(self, sku: str, pieces: int) -> None:
        """Delivered, or found broken: as many as there are."""
        if pieces == 0:
            return
        product = Product.objects.get(sku=sku)
        entry = StaffEntry(product_id=product.pk, by="staff", why="", key=secrets.token_hex(8))
        kind = StockMovement.Kind.RECEIVED if pieces > 0 else StockMovement.Kind.CORRECTED
        with suppress(BelowZero):
            change_stock(entry, kind=kind, change=pieces)
            self.delivered[sku] += pieces

    def refund(self, payment: Payment, amount_minor: int) -> None:
        left = refundable_minor(Payment.objects.get(pk=payment.pk))
        try:
            request_refund(
                payment,
                amount_minor=amount_minor,
                reason="They asked for it",
                requested_by=None,
                now=self.clock(),
            )
        except RefundImpossible:
            require(not 0 < amount_minor <= left, f"{amount_minor} of {left} cannot be refunded")
        else:
            require(amount_minor <= left, f"{amount_minor} of {left} was refunded")

    def refund_at_the_site(self, payment: Payment, amount_minor: int) -> None:
        """Somebody uses the gateway's own page for it."""
        self.refunded_at_the_site = True
        params = {"payment_intent": payment.gateway_payment_id, "amount": str(amount_minor)}
        self.account.answer(Request(method="POST", path="/v1/refunds", params=params))

    # Publisher and worker

    def free_hand(self) -> Hand | None:
        """None: enough of them are in the middle of something. One more is kept for whole acts."""
        busy = self.busy_hands()
        free = [hand for hand in self.world.hands if hand not in busy]
        return free[0] if len(free) > 1 else None

    def busy_hands(self) -> list[Hand]:
        return [hand for hand in self.world.hands if hand.place]

    def is_at_the_gateway(self, hand: Hand) -> bool:
        return hand.place not in {"before send", "after send", "before delete"}

    def begin(self, act: Callable[[], object]) -> None:
        """As far as its first stop; others may do something before it goes on."""
        hand = self.free_hand()
        assert hand
        hand.start(act, stops=True)

    def run(self, act: Callable[[], object], *, dies_after: int | None = None) -> None:
        """In one go; or until it has stopped so many times, where it dies."""
        hand = next(hand for hand in self.world.hands if not hand.place)
        hand.start(act, stops=dies_after is not None)
        for _ in range(dies_after or 0):
            if hand.place:
                hand.go_on()
        hand.die()

    def publish(self) -> None:
        with suppress(*QUEUE_ERRORS):  # as its loop does: it comes again
            publish_outbox(self.queue, now=self.clock())

    def receive(self) -> Incoming | None:
        received = self.queue.receive(at_most=1, wait_seconds=0)
        return received[0] if received else None

    def work_on(self, message: Incoming) -> None:
        verdict, seconds = handle(message, only(self.gateway))
        stop_here("before delete")
        if verdict is Verdict.DELETE:
            self.queue.delete([message.receipt_handle])
        else:
            self.queue.change_visibility([message.receipt_handle], seconds=seconds)

    def move_everything(self) -> None:
        """Publisher and workers do what there is to do now; of an order one message at a time."""
        for _ in range(MESSAGES):
            self.run(self.publish)
            message = self.receive()
            if message is None:
                return
            self.run(lambda message=message: self.work_on(message))  # type: ignore[misc] # mypy sees no default

    # Gateway, webhooks, queue and time

    def asked_by_the_bank(self) -> list[tuple[str, str]]:
        """Payments, with their order's number, whose customers were ever sent to their bank."""
        return [
            (event["data"]["object"]["id"], event["data"]["object"]["metadata"]["order"])
            for event in self.webhooks.events()
            if event["type"] == "payment_intent.requires_action"
        ]

    def tell(self, event: Json) -> None:
        """Deliver an event as the gateway does."""
        body = json.dumps(event).encode()
        at = int(self.clock.seconds())
        signed = hmac.new(WEBHOOK_SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256)
        answer = self.visitors[0].client.post(
            "/payments/webhooks/stripe/",
            body,
            content_type="application/json",
            headers={"Stripe-Signature": f"t={at},v1={signed.hexdigest()}"},
        )
        require(answer.status_code == 200, f"a webhook is answered by {answer.status_code}")
        self.told_events.add(event["id"])

    def sweep(self) -> None:
        sweep(now=self.clock())

    def expire(self) -> None:
        expire_unpaid(now=self.clock())

    # What must be true

    def check(self) -> None:
        books = self.world.books
        books.read(self.clock())
        books.check_charges(self.account)
        books.check_refunds(self.account)
        books.check_acknowledged(self.acknowledged)
        books.check_forgotten({json.loads(one.body)["order"] for one in self.queue.waiting()})
        books.check_stock(self.delivered)
        books.check_codes()

    def has_due(self) -> bool:
        """Something to publish, as of the last check."""
        return any(order["has_due"] for order in self.world.books.orders)

    def has_charges(self) -> bool:
        return any(order["status"] in CHARGED for order in self.world.books.orders)

    def outcomes(self) -> Counter[str]:
        """What the run has led to, to see that nothing of the shop is left out."""
        charges, refunds = self.account.charges(), self.account.refunds()
        return Counter(f"= {order['status']}" for order in self.world.books.orders) + Counter(
            {
                "= charges": len(charges),
                "= refunds at the gateway": len(refunds),
                "= rounds after the first": Payment.objects.filter(round__gt=1).count(),
                "= dead letters": len(self.queue.dead_letters()),
                "= orders with a code": sum(live for *_, live in self.world.books.codes.values()),
            }
        )

    def abandon(self) -> None:
        """Whoever is in the middle of something dies there."""
        for hand in self.world.hands:
            hand.die()

    def settle_everything(self) -> None:
        """The faults are over: everything goes on until nothing moves any more."""
        self.sandbox.faults.calm()
        self.sandbox.faults.outage = False
        self.queue.troubles.clear()
        for hand in self.world.hands:
            hand.finish()
        if self.hears_webhooks:
            for event in self.webhooks.events():
                if event["id"] not in self.told_events:
                    self.tell(event)
        for _ in range(ROUNDS):
            self.sweep()
            self.expire()
            self.move_everything()
            if self._is_quiet():
                break
            self.clock.advance(ROUND_SECONDS)
        self.check()
        self._check_end()

    def _is_quiet(self) -> bool:
        return not (
            self.queue.waiting()
            or OutboxMessage.objects.filter(published_at=None).exists()
            or Order.objects.filter(status=OrderStatus.PLACED).exists()
            or Refund.objects.filter(status__in=UNSETTLED_REFUNDS).exists()
        )

    def _check_end(self) -> None:
        require(self._is_quiet(), "it never becomes quiet")
        findings = [*audit_database(self.clock())]
        findings += audit_gateway(only(self.gateway.inner), now=self.clock())
        for finding in findings:
            rows = finding.rows
            if self.refunded_at_the_site:  # what has gone back there already cannot be sent here
                rows = [row for row in rows if not row.endswith(REFUND_FAILED)]
            require(not rows, f"{finding.promise}: {rows}")


def token_alone(
    request: HttpRequest, template: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """In place of the checkout page: to render it takes longer than all the rest."""
    return HttpResponse(context["token"], status=status)


def round_alone(
    request: HttpRequest, template: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """In place of an order's page: what its form to pay again would say."""
    order: Order = context["order"]
    return HttpResponse(order.payment_round if order.status in EXPIRING else "", status=status)


def shop_tables() -> list[str]:
    models = apps.get_models(include_auto_created=True)
    return [model._meta.db_table for model in models if model._meta.app_label in APPS]


def pick(items: Sequence[T], number: int) -> T:
    return items[number % len(items)]


def paid_payments() -> list[Payment]:
    return list(Payment.objects.filter(status=PaymentStatus.PAID).order_by("id"))


def orders() -> list[Order]:
    return list(Order.objects.order_by("id"))


def share(payment: Payment, percent: int) -> int:
    return max(1, payment.taken_minor * percent // 100)
