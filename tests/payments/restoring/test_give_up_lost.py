"""The money of a lost order goes back once a person has agreed to that, and once only."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import Order
from payments.books.lost_orders import agree_to_give_up, note_lost, seen_to
from payments.books.repair import reconcile
from payments.gateways.base import (
    DisputeState,
    GatewayDispute,
    GatewayState,
    OutcomeUnknown,
    RefundRefused,
    RefundState,
)
from payments.gateways.example.client import ASKS_CUSTOMER, ExampleGateway
from payments.models import LostOrder, Payment
from payments.restoring.give_up_lost import give_up_next
from tests.doubles.gateway import FaultyGateway, raising
from tests.payments.restoring.conftest import Runs
from tests.payments.restoring.test_take_over import charged, sent_back, settle
from tests.support.backups import Takes
from tests.support.factories import placed_order
from tests.support.till import only


@pytest.fixture
def lost(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> LostOrder:
    return lose(shelf, gateway, backed_up, after_restore, "pm_card_visa")


@pytest.fixture
def lost_at_the_bank(
    shelf: list[Product], gateway: ExampleGateway, backed_up: Takes, after_restore: Runs
) -> LostOrder:
    return lose(shelf, gateway, backed_up, after_restore, ASKS_CUSTOMER)


def lose(
    shelf: list[Product],
    gateway: ExampleGateway,
    backed_up: Takes,
    after_restore: Runs,
    method: str,
) -> LostOrder:
    backup = backed_up()
    settle(placed_order(shelf[0], payment_method=method), gateway)
    backup.restore()
    after_restore(backup)
    return LostOrder.objects.get()


def agreed(lost: LostOrder) -> bool:
    return agree_to_give_up(lost, by="ada", why="Nobody sends it", now=timezone.now())


def give_up(gateway: ExampleGateway | FaultyGateway) -> bool:
    """Do what the worker does, however long it pauses after a call that brought nothing."""
    later = timezone.now() + timedelta(days=1)
    return give_up_next(only(gateway), clock=lambda: later)


def test_nothing_is_sent_back_before_a_person_has_agreed(
    lost: LostOrder, gateway: ExampleGateway
) -> None:
    assert not give_up(gateway)
    assert sent_back(gateway) == 0


def test_charge_goes_back_once_and_the_order_is_seen_to(
    lost: LostOrder, gateway: ExampleGateway
) -> None:
    assert agreed(lost)
    assert not agreed(lost)  # pressed twice

    assert give_up(gateway)
    assert not give_up(gateway)

    assert sent_back(gateway) == charged(gateway) == 1001
    lost.refresh_from_db()
    assert (lost.seen_to_by, lost.seen_to_how) == ("ada", "€10.01 sent back (Nobody sends it)")
    assert reconciled(gateway) == []


def reconciled(gateway: ExampleGateway) -> list[object]:
    report = reconcile(
        only(gateway),
        since=timezone.now() - timedelta(days=1),
        clock=timezone.now,
        may_repair=lambda report: False,
    )
    return [*report.remaining]


def test_open_payment_is_closed(lost_at_the_bank: LostOrder, gateway: ExampleGateway) -> None:
    """Its customer could still be charged, for an order that nobody has."""
    agreed(lost_at_the_bank)

    give_up(gateway)

    [theirs] = gateway.payments.values()
    assert (theirs.state, gateway.refunds) == (GatewayState.CANCELLED, {})
    lost_at_the_bank.refresh_from_db()
    assert lost_at_the_bank.seen_to_how.startswith("Closed at the gateway; nothing was charged")
    assert reconciled(gateway) == []


def test_payment_that_is_charged_at_the_last_moment_is_sent_back(
    lost_at_the_bank: LostOrder, gateway: ExampleGateway
) -> None:
    agreed(lost_at_the_bank)
    [theirs] = gateway.payments.values()
    gateway.payments[theirs.id] = replace(theirs, state=GatewayState.PAID, action_url="")

    give_up(gateway)

    assert sent_back(gateway) == 1001


def test_refund_whose_answer_was_lost_is_looked_for(
    lost: LostOrder, gateway: ExampleGateway
) -> None:
    agreed(lost)
    silent = FaultyGateway(gateway, after={"refund": raising(OutcomeUnknown("timeout"))})
    assert give_up(silent)
    lost.refresh_from_db()
    assert (lost.seen_to_at, sent_back(gateway)) == (None, 1001)
    gateway._answers.clear()  # so that it remembers no keys

    LostOrder.objects.update(next_try_at=timezone.now())
    give_up(gateway)

    lost.refresh_from_db()
    assert lost.seen_to_at
    assert sent_back(gateway) == 1001


def test_what_was_sent_back_by_hand_is_not_sent_again(
    lost: LostOrder, gateway: ExampleGateway
) -> None:
    gateway.refund(
        lost.gateway_payment_id,
        amount_minor=1000,
        currency="EUR",
        refund_key="",
        idempotency_key="by-hand",
    )
    agreed(lost)

    give_up(gateway)

    assert [refund.amount_minor for refund in gateway.refunds.values()] == [1000, 1]


def test_refund_that_is_on_its_way_is_waited_for(lost: LostOrder, gateway: ExampleGateway) -> None:
    agreed(lost)
    give_up(FaultyGateway(gateway, after={"refund": raising(OutcomeUnknown("timeout"))}))
    [made] = gateway.refunds.values()
    gateway.refunds[made.id] = replace(made, state=RefundState.PENDING)
    LostOrder.objects.update(next_try_at=timezone.now())

    give_up(gateway)

    lost.refresh_from_db()
    assert lost.seen_to_at is None
    assert sent_back(gateway) == 1001


def test_refusal_puts_it_before_a_person_again(lost: LostOrder, gateway: ExampleGateway) -> None:
    agreed(lost)

    give_up(FaultyGateway(gateway, before={"refund": raising(RefundRefused("too_late"))}))

    lost.refresh_from_db()
    assert (lost.seen_to_at, lost.agreed_at, lost.next_try_at) == (None, None, None)
    assert agreed(lost)


def test_charge_that_a_bank_disputes_is_not_sent_back_beside_it(
    lost: LostOrder, gateway: ExampleGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispute = GatewayDispute(
        id="dp_1",
        state=DisputeState.NEEDS_RESPONSE,
        payment_id=lost.gateway_payment_id,
        amount_minor=1001,
        currency="EUR",
        reason="fraudulent",
        opened_at=timezone.now(),
        due_at=None,
    )
    monkeypatch.setattr(ExampleGateway, "disputes_of", lambda *args: [dispute])
    agreed(lost)

    give_up(gateway)

    lost.refresh_from_db()
    assert (sent_back(gateway), lost.agreed_at) == (0, None)


@pytest.mark.parametrize("whose", ["here", "a stranger's", "another order's"])
def test_payment_that_is_not_of_a_lost_order_is_left_alone(
    lost: LostOrder,
    shelf: list[Product],
    gateway: ExampleGateway,
    whose: str,
) -> None:
    [theirs] = gateway.payments.values()
    if whose == "here":  # entered from another backup
        placed_order(shelf[0])
        Order.objects.update(reference=lost.reference)
    else:
        names = {"a stranger's": {"installation": "another"}, "another order's": {"reference": "x"}}
        gateway.payments[theirs.id] = replace(theirs, order=replace(theirs.order, **names[whose]))
    agreed(lost)

    give_up(gateway)

    assert sent_back(gateway) == 0
    lost.refresh_from_db()
    assert (lost.agreed_at, lost.seen_to_at) == (None, None)
    assert not Payment.objects.exists()


def test_of_two_workers_one_goes_on(lost: LostOrder, gateway: ExampleGateway) -> None:
    agreed(lost)
    second: list[bool] = []
    meanwhile = FaultyGateway(gateway, before={"retrieve": lambda: second.append(give_up(gateway))})

    give_up_next(only(meanwhile), clock=timezone.now)

    assert len(gateway.refunds) == 1


def test_order_without_a_payment_has_nothing_to_be_given_up(transactional_db: None) -> None:
    note_lost(OrderIdentity(number="100482-61", reference="lost"), now=timezone.now())

    with pytest.raises(ActionImpossible):
        agreed(LostOrder.objects.get())


def test_what_was_seen_to_is_not_agreed_about(lost: LostOrder) -> None:
    seen_to(lost, by="grace", how="Delivered by hand", now=timezone.now())

    assert not agreed(lost)
