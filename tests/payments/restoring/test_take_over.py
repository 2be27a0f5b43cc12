"""After a restore the gateway knows payments, charges, refunds and captures that the database does
not have. They are taken over before a worker runs, so that none of them is made a second time."""

import secrets
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.cancelling import cancel_unpaid
from checkout.orders.dispatch.ship import ship
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.pausing import resume_payments
from checkout.orders.paying import pay_again
from payments.gateways.base import GatewayState, RefundState
from payments.gateways.example.client import ASKS_CUSTOMER, ExampleGateway
from payments.models import Payment, Refund
from payments.refunds import request_refund
from payments.settling.check_order import cancel_order
from payments.settling.refunds import settle_refunds
from payments.settling.settle_order import settle_order
from payments.worker.handle import HANDLERS
from tests.payments.restoring.conftest import Runs
from tests.support.audited import violations
from tests.support.backups import Takes
from tests.support.books_that_differ import open_another
from tests.support.factories import placed_order
from tests.support.till import only

DECLINED = "pm_card_chargeDeclined"


def settle(order: Order, gateway: ExampleGateway) -> None:
    settle_order(order.number, only(gateway), clock=timezone.now)


def work(gateway: ExampleGateway) -> None:
    """Payments go on: publisher and worker do all that waits, and the sweep asks about the rest."""
    resume_payments(by="ada", now=timezone.now())
    while message := OutboxMessage.objects.filter(published_at=None).order_by("id").first():
        OutboxMessage.objects.filter(pk=message.pk).update(published_at=timezone.now())
        HANDLERS[message.kind](message.order.number, only(gateway), clock=timezone.now)
    for order in Order.objects.order_by("id"):
        settle(order, gateway)


def charged(gateway: ExampleGateway) -> int:
    return sum(theirs.charged_minor for theirs in gateway.payments.values())


def sent_back(gateway: ExampleGateway) -> int:
    return sum(refund.amount_minor for refund in gateway.refunds.values())


def pay_with(order: Order, method: str, gateway: ExampleGateway) -> None:
    assert pay_again(
        order, gateway="stripe", payment_method=method, failed_round=None, now=timezone.now()
    )
    settle(order, gateway)


def refund(order: Order, amount_minor: int, key: str | None = None) -> Refund:
    return request_refund(
        order.payments.get(status="paid"),
        amount_minor=amount_minor,
        reason="Broken",
        requested_by=None,
        key=key,
        now=timezone.now(),
    )


def send_refunds(order: Order, gateway: ExampleGateway) -> None:
    settle_refunds(order.number, only(gateway), clock=timezone.now)


def test_without_the_command_a_worker_charges_an_order_again(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes
) -> None:
    """What all of this is for. The key of the first charge is gone with its row."""
    order = placed_order(shelf[0])
    backup = backed_up()
    settle(order, gateway)

    backup.restore()
    settle(order, gateway)

    assert charged(gateway) == 2 * order.total_minor


def test_charge_is_recorded_for_its_order_and_made_once(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> None:
    order = placed_order(shelf[0])
    backup = backed_up()
    settle(order, gateway)
    backup.restore()

    report = after_restore(backup)

    assert [(one.what, one.order) for one in report.taken] == [
        ("payment that is paid there", order.number),
        ("charge", order.number),
    ]
    order.refresh_from_db()
    assert order.status == "paid"
    work(gateway)
    assert charged(gateway) == order.total_minor
    assert len(gateway.payments) == 1
    assert violations() == []


def test_payment_that_a_bank_asks_about_is_the_only_one(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> None:
    order = placed_order(shelf[0], payment_method=ASKS_CUSTOMER)
    backup = backed_up()
    settle(order, gateway)
    backup.restore()

    after_restore(backup)
    work(gateway)

    [theirs] = gateway.payments.values()
    assert Payment.objects.get().gateway_payment_id == theirs.id
    order.refresh_from_db()
    assert (order.status, order.action_url) == ("action_required", theirs.action_url)


def test_row_that_waits_for_its_id_gets_it(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> None:
    """The gateway would find the payment by its key, for as long as it remembers keys."""
    order = placed_order(shelf[0])
    settle(order, gateway)
    Payment.objects.update(gateway_payment_id="", status="processing", charged_minor=None)
    Order.objects.update(status="placed", sweep_at=timezone.now())
    begun = Payment.objects.get()
    backup = backed_up()
    gateway._answers.clear()  # so that it remembers no keys

    after_restore(backup)
    work(gateway)

    assert (Payment.objects.get().pk, len(gateway.payments)) == (begun.pk, 1)
    assert Order.objects.get().status == "paid"


@pytest.mark.parametrize("method", [DECLINED, ASKS_CUSTOMER, "pm_card_visa"])
def test_another_card_in_the_lost_time_is_the_orders_next_round(
    shelf: list[Product],
    gateway: ExampleGateway,
    backed_up: Takes,
    after_restore: Runs,
    method: str,
) -> None:
    order = placed_order(shelf[0], payment_method=DECLINED)
    settle(order, gateway)
    backup = backed_up()
    pay_with(order, method, gateway)
    order.refresh_from_db()
    status = order.status
    backup.restore()

    after_restore(backup)
    work(gateway)

    order.refresh_from_db()
    assert order.status == status
    assert len(gateway.payments) == 2


def test_both_rounds_of_the_lost_time_are_taken_over_in_turn(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> None:
    order = placed_order(shelf[0], payment_method=DECLINED)
    backup = backed_up()
    settle(order, gateway)
    pay_with(order, "pm_card_visa", gateway)
    backup.restore()

    after_restore(backup)
    work(gateway)

    first, second = Payment.objects.order_by("round")
    assert [first.gateway_payment_id, second.gateway_payment_id] == [*gateway.payments]
    assert (first.round, second.round, second.status) == (1, 2, "paid")
    assert charged(gateway) == order.total_minor
    assert violations() == []


def test_second_round_of_the_lost_time_is_the_one_that_its_customer_is_asked_about(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> None:
    order = placed_order(shelf[0], payment_method=DECLINED)
    backup = backed_up()
    settle(order, gateway)
    pay_with(order, ASKS_CUSTOMER, gateway)
    backup.restore()

    after_restore(backup)
    work(gateway)

    order.refresh_from_db()
    _, second = gateway.payments.values()
    assert (order.status, order.payment_round) == ("action_required", 2)
    assert order.action_url == second.action_url


def test_card_that_was_declined_in_the_lost_time_is_not_tried_again(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> None:
    """Its customer was told that nothing was charged."""
    order = placed_order(shelf[0], payment_method=DECLINED)
    backup = backed_up()
    settle(order, gateway)
    backup.restore()

    after_restore(backup)
    work(gateway)

    order.refresh_from_db()
    assert (order.status, len(gateway.payments)) == ("payment_failed", 1)


def test_order_that_was_cancelled_in_the_lost_time_is_not_charged(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> None:
    order = placed_order(shelf[0], payment_method=ASKS_CUSTOMER)
    backup = backed_up()
    settle(order, gateway)
    cancel_order(order.number, only(gateway), clock=timezone.now)
    order.refresh_from_db()
    assert order.status == "cancelled"
    backup.restore()

    after_restore(backup)
    work(gateway)

    order.refresh_from_db()
    assert (order.status, charged(gateway), len(gateway.payments)) == ("payment_failed", 0, 1)


def test_second_charge_of_a_paid_order_is_a_surplus(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> None:
    order = placed_order(shelf[0])
    settle(order, gateway)
    backup = backed_up()
    second = open_another(order, gateway)
    gateway.payments[second] = replace(gateway.payments[second], state=GatewayState.PAID)

    after_restore(backup)

    assert Payment.objects.get(gateway_payment_id=second).is_surplus
    assert Refund.objects.get().status == "prepared"


def test_open_payment_of_a_cancelled_order_is_closed_by_the_worker(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> None:
    order = placed_order(shelf[0], payment_method=DECLINED)
    settle(order, gateway)
    cancel_unpaid(order, now=timezone.now())
    backup = backed_up()
    opened = open_another(order, gateway)

    after_restore(backup)
    assert gateway.payments[opened].state is GatewayState.OPEN  # nothing is done there meanwhile
    work(gateway)

    assert gateway.payments[opened].state is GatewayState.CANCELLED
    order.refresh_from_db()
    assert order.status == "cancelled"


def test_refund_of_the_lost_time_is_entered_under_its_key(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> None:
    """Whoever presses the same button again, which is still open in a browser, finds it."""
    order = placed_order(shelf[0])
    settle(order, gateway)
    backup = backed_up()
    refund(order, 300, key="of-the-page")
    send_refunds(order, gateway)
    backup.restore()

    after_restore(backup)
    again = refund(order, 300, key="of-the-page")
    work(gateway)

    assert (again.status, sent_back(gateway)) == ("succeeded", 300)
    order.refresh_from_db()
    assert (order.status, order.refunded_minor) == ("partly_refunded", 300)
    assert violations() == []


def test_refund_that_was_asked_for_before_and_sent_since_is_found(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> None:
    order = placed_order(shelf[0])
    settle(order, gateway)
    refund(order, 300)
    backup = backed_up()
    send_refunds(order, gateway)
    backup.restore()
    gateway._answers.clear()  # so that it remembers no keys

    after_restore(backup)
    work(gateway)

    assert (sent_back(gateway), Refund.objects.get().status) == (300, "succeeded")


def test_refund_that_is_on_its_way_is_waited_for(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> None:
    order = placed_order(shelf[0])
    settle(order, gateway)
    backup = backed_up()
    refund(order, 300)
    send_refunds(order, gateway)
    [made] = gateway.refunds.values()
    gateway.refunds[made.id] = replace(made, state=RefundState.PENDING)
    backup.restore()

    after_restore(backup)
    assert (Refund.objects.get().status, Refund.objects.get().key) == ("pending", made.refund_key)
    gateway.refunds[made.id] = made
    work(gateway)

    assert (sent_back(gateway), Refund.objects.get().status) == (300, "succeeded")


def test_parcel_that_was_charged_in_the_lost_time_is_not_charged_again(
    shelf: list[Product],
    gateway: ExampleGateway,
    backed_up: Takes,
    after_restore: Runs,
    settings: Settings,
) -> None:
    """The parcel is lost too; whoever marks it as sent again does not charge it again. The payment
    was opened long before the backup, so that no list since then has it."""
    settings.CAPTURE = "dispatch"
    order = placed_order(shelf[0], shelf[1])
    gateway.clock = lambda: timezone.now() - timedelta(days=1)
    settle(order, gateway)
    gateway.clock = timezone.now
    backup = backed_up()
    send_a_parcel(order, shelf[0])
    work(gateway)
    first = charged(gateway)
    assert 0 < first < order.total_minor
    backup.restore()

    after_restore(backup)
    assert Payment.objects.get().taken_minor == first
    send_a_parcel(order, shelf[0])
    work(gateway)
    assert charged(gateway) == first
    send_a_parcel(order, shelf[1])
    work(gateway)

    assert charged(gateway) == order.total_minor
    order.refresh_from_db()
    assert order.status == "paid"


def send_a_parcel(order: Order, product: Product) -> None:
    order.refresh_from_db()
    line = order.lines.get(product=product)
    ship(order, {line.pk: 1}, key=secrets.token_hex(8), by="ada", now=timezone.now())


def test_dry_run_shows_it_and_does_nothing(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> None:
    order = placed_order(shelf[0])
    backup = backed_up()
    settle(order, gateway)
    backup.restore()

    report = after_restore(backup, dry_run=True)

    assert [one.what for one in report.taken] == ["payment that is paid there"]
    assert not Payment.objects.exists()
    assert Order.objects.get().status == "placed"


def test_second_run_changes_nothing(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> None:
    orders = [placed_order(shelf[0]) for _ in range(3)]
    settle(orders[0], gateway)
    backup = backed_up()
    for order in orders[1:]:
        settle(order, gateway)
    refund(orders[0], 300)
    send_refunds(orders[0], gateway)
    settle(placed_order(shelf[1]), gateway)
    backup.restore()

    assert after_restore(backup).changed
    before = everything()

    assert not after_restore(backup).changed
    assert everything() == before


def everything() -> list[tuple[object, ...]]:
    """All rows of orders and payments."""
    return [
        row
        for model in (Order, Payment, Refund, OutboxMessage)
        for row in model.objects.order_by("pk").values_list()
    ]
