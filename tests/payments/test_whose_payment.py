"""Two installations on one account of the gateway: a payment is ours only if it names our order's
reference and our installation. All else belongs to somebody else."""

import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.identity.installation import installation_id
from checkout.orders.identity.matching import identity_of
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import Order, OutboxMessage
from payments.books.compare import LOST_ORDER
from payments.books.gateway_audit import audit_gateway
from payments.books.lost_orders import seen_to
from payments.gateways.base import GatewayPayment, GatewayState
from payments.gateways.example.client import ExampleGateway
from payments.models import LostOrder, Payment, WebhookEvent
from payments.settling.settle_order import settle_order
from tests.payments.test_webhooks import SECRET, event, send
from tests.support.asked import asked
from tests.support.books_that_differ import OLD, failed_order, kinds, paid_order, repaired
from tests.support.factories import placed_order
from tests.support.till import only

Names = Callable[[Order], OrderIdentity]


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> ExampleGateway:
    """Opens everything two hours ago, so that nothing of it is on its way any more."""
    gateway = ExampleGateway(clock=lambda: timezone.now() - OLD)
    for command in ("reconcile_payments", "audit_orders"):
        monkeypatch.setattr(
            f"payments.management.commands.{command}.Gateways.load", lambda: only(gateway)
        )
    return gateway


def of_another_installation(order: Order) -> OrderIdentity:
    return OrderIdentity(
        number=order.number, reference=secrets.token_urlsafe(16), installation="another"
    )


def of_its_copy(order: Order) -> OrderIdentity:
    """A copy of this database that runs beside it, under an id of its own."""
    return OrderIdentity(number=order.number, reference=order.reference, installation="a copy")


def of_its_number(order: Order) -> OrderIdentity:
    return OrderIdentity(number=order.number)


def of_its_number_and_reference(order: Order) -> OrderIdentity:
    return OrderIdentity(number=order.number, reference=order.reference)


def of_nothing(order: Order) -> OrderIdentity:
    return OrderIdentity()


NOT_OURS = [
    of_another_installation,
    of_its_copy,
    of_its_number,
    of_its_number_and_reference,
    of_nothing,
]


def opened(
    gateway: ExampleGateway, order: OrderIdentity, method: str = "pm_card_visa"
) -> GatewayPayment:
    return gateway.open(
        asked(method, order=order, amount_minor=1001),
        idempotency_key=secrets.token_hex(8),
    )


def charged(gateway: ExampleGateway, order: OrderIdentity) -> GatewayPayment:
    key = secrets.token_hex(8)
    return gateway.confirm(opened(gateway, order).id, asked(), idempotency_key=key)


def audited(gateway: ExampleGateway) -> list[str]:
    """The audit asks for what was opened since the first order was placed."""
    Order.objects.update(placed_at=timezone.now() - 2 * OLD)
    return [
        row for finding in audit_gateway(only(gateway), now=timezone.now()) for row in finding.rows
    ]


@pytest.mark.parametrize("names", NOT_OURS)
def test_charge_of_somebody_else_pays_no_order_of_ours(
    shelf: list[Product], gateway: ExampleGateway, names: Names
) -> None:
    order = failed_order(shelf[0], gateway)
    charged(gateway, names(order))

    assert (audited(gateway), repaired(gateway).found) == ([], [])

    order.refresh_from_db()
    assert (order.status, order.payments.count()) == ("payment_failed", 1)


@pytest.mark.parametrize("names", NOT_OURS)
def test_charge_of_somebody_else_is_no_second_charge_of_ours(
    shelf: list[Product], gateway: ExampleGateway, names: Names
) -> None:
    order = paid_order(shelf[0], gateway).order
    charged(gateway, names(order))

    assert (audited(gateway), repaired(gateway).found) == ([], [])

    order.refresh_from_db()
    assert (order.payments.count(), order.needs_person) == (1, "")


@pytest.mark.parametrize("names", NOT_OURS)
def test_open_payment_of_somebody_else_is_not_cancelled(
    shelf: list[Product], gateway: ExampleGateway, names: Names
) -> None:
    order = paid_order(shelf[0], gateway).order
    theirs = opened(gateway, names(order))

    assert repaired(gateway).found == []

    assert gateway.retrieve(theirs.id).state is GatewayState.OPEN


def test_payment_from_before_is_known_by_its_stored_id(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    """Its round told the number alone, and our books missed its outcome."""
    order = placed_order(shelf[0])
    theirs = charged(gateway, of_its_number(order))
    Payment.objects.create(
        order=order,
        round=1,
        status="unknown",
        amount_minor=order.total_minor,
        currency="EUR",
        gateway_payment_id=theirs.id,
        created_at=timezone.now() - OLD,
    )

    assert list(repaired(gateway).repairs.values()) == ["recorded"]

    assert Order.objects.get().status == "paid"


def lost(order: Order) -> OrderIdentity:
    """An order of ours whose number is given out again since a backup was restored."""
    reference = secrets.token_urlsafe(16)
    return OrderIdentity(
        number=order.number, reference=reference, installation=identity_of(order).installation
    )


@pytest.mark.parametrize("state", [GatewayState.PAID, GatewayState.OPEN])
@pytest.mark.parametrize("ours", [failed_order, lambda *args: paid_order(*args).order])
def test_lost_order_is_named_and_not_attached_to_the_order_that_has_its_number(
    shelf: list[Product],
    gateway: ExampleGateway,
    ours: Callable[[Product, ExampleGateway], Order],
    state: GatewayState,
) -> None:
    order = ours(shelf[0], gateway)
    audited(gateway)
    before = Order.objects.filter(pk=order.pk).values().get()
    names = lost(order)
    theirs = (charged if state is GatewayState.PAID else opened)(gateway, names)

    [difference] = repaired(gateway).remaining

    assert (difference.kind, difference.order) == (LOST_ORDER, order.number)
    assert (difference.reference, difference.gateway_id) == (names.reference, theirs.id)
    assert gateway.retrieve(theirs.id).state is state
    assert Order.objects.filter(pk=order.pk).values().get() == before
    assert order.payments.count() == 1
    assert any(names.reference in row for row in audited(gateway))


def test_lost_order_is_put_before_a_person_until_somebody_has_seen_to_it(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    names = lost(failed_order(shelf[0], gateway))
    theirs = opened(gateway, names)
    for _ in range(2):
        repaired(gateway)
        audited(gateway)

    [row] = LostOrder.objects.all()
    assert (row.reference, row.number) == (names.reference, names.number)
    assert (row.gateway_payment_id, row.state, row.amount_minor) == (theirs.id, "open", 1001)

    assert seen_to(row, by="ada", how="Written to its customer", now=timezone.now())
    assert (audited(gateway), repaired(gateway).found) == ([], [])

    gateway.confirm(theirs.id, asked(), idempotency_key="late")
    assert kinds(repaired(gateway).remaining) == [LOST_ORDER]
    row.refresh_from_db()
    assert (row.state, row.seen_to_at) == ("paid", None)


def test_strangers_are_counted_and_listed_on_demand(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    order = paid_order(shelf[0], gateway).order
    for names in NOT_OURS:
        charged(gateway, names(order))
    nasty = opened(gateway, OrderIdentity(number="\x1b[2J", reference="r", installation="another"))

    counted, listed = said(), said("--strangers")

    assert "6 payments on the account are strangers'" in counted
    assert nasty.id not in counted
    assert [listed.count(theirs.id) for theirs in gateway.payments.values()] == [0, *[1] * 6]
    assert "\x1b" not in listed


def test_json_tells_of_strangers_and_of_lost_orders(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    order = paid_order(shelf[0], gateway).order
    names = lost(order)
    charged(gateway, names)
    theirs = charged(gateway, of_another_installation(order))

    counted, listed = json.loads(said("--json")), json.loads(said("--json", "--strangers"))

    assert (counted["strangers"], "strangers_listed" in counted) == (1, False)
    [difference] = counted["differences"]
    assert (difference["kind"], difference["reference"]) == (LOST_ORDER, names.reference)
    assert (difference["remains"], difference["repair"]) == (True, "")
    assert counted["installation"] == installation_id()
    [stranger] = listed["strangers_listed"]
    assert (stranger["gateway_id"], stranger["installation"]) == (theirs.id, "another")


def said(*options: str) -> str:
    told = StringIO()
    with suppress(CommandError):
        call_command("reconcile_payments", *options, stdout=told, stderr=StringIO())
    return told.getvalue()


def test_audit_counts_strangers_and_names_lost_orders(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    order = paid_order(shelf[0], gateway).order
    charged(gateway, of_another_installation(order))
    names = lost(order)
    charged(gateway, names)
    Order.objects.update(placed_at=timezone.now() - 2 * OLD)
    told = StringIO()

    with pytest.raises(CommandError):
        call_command("audit_orders", "--no-queue", stdout=told, stderr=StringIO())

    assert names.reference in told.getvalue()
    assert "1 payments on the account are strangers'" in told.getvalue()


def metadata(names: OrderIdentity) -> dict[str, str]:
    return {
        "order": names.number,
        "order_reference": names.reference,
        "installation": names.installation,
    }


@pytest.mark.parametrize("names", NOT_OURS)
@pytest.mark.parametrize("kind", ["payment_intent.succeeded", "charge.refunded"])
def test_event_about_somebody_elses_payment_asks_for_nothing(
    shelf: list[Product], settings: Settings, names: Names, kind: str
) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = [SECRET]
    order = placed_order(shelf[0])
    about: dict[str, object] = {"id": "pi_of_another", "metadata": metadata(names(order))}

    assert send(event(about, kind=kind)) == 200

    assert WebhookEvent.objects.get().order is None
    assert not OutboxMessage.objects.filter(kind="check_payment").exists()
    assert not LostOrder.objects.exists()


def test_event_about_a_lost_order_is_put_before_a_person(
    shelf: list[Product], settings: Settings
) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = [SECRET]
    names = lost(placed_order(shelf[0]))
    for about in ({"id": "pi_1"}, {"id": "ch_1", "payment_intent": "pi_1"}):
        send(event({**about, "metadata": metadata(names)}))

    assert set(WebhookEvent.objects.values_list("order", flat=True)) == {None}
    assert not OutboxMessage.objects.filter(kind="check_payment").exists()
    [row] = LostOrder.objects.all()
    assert (row.reference, row.gateway_payment_id, row.state) == (names.reference, "pi_1", "")


@pytest.mark.parametrize("reference", [["x"], {"a": 1}, None, 7, "x\0", "\ud800", "x" * 33, ""])
def test_metadata_that_is_no_name_finds_nothing(
    shelf: list[Product], settings: Settings, reference: object
) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = [SECRET]
    placed_order(shelf[0])
    told = {"order": "1", "order_reference": reference, "installation": installation_id()}

    assert send(event({"id": "pi_1", "metadata": told})) == 200

    assert WebhookEvent.objects.get().order is None
    assert not LostOrder.objects.exists()


def test_answer_that_names_another_order_pays_nothing(
    shelf: list[Product], gateway: ExampleGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """As after an id was entered by hand: of a charge of another installation's."""
    order = placed_order(shelf[0])
    theirs = charged(gateway, of_another_installation(order))
    Payment.objects.create(
        order=order,
        round=1,
        status="unknown",
        amount_minor=order.total_minor,
        currency="EUR",
        gateway_payment_id=theirs.id,
        created_at=timezone.now(),
    )

    settle_order(order.number, only(gateway), clock=timezone.now)

    order.refresh_from_db()
    assert order.status == "placed"
    assert "names another order" in caplog.text
