"""Each state that a customer would ask about is written about once, with where their money is."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.attention.reasons import CHARGED_TWICE
from checkout.orders.cancelling import cancel_unpaid, give_up, note_canceller
from checkout.orders.mail.enqueue import BANK_WAITS, queue_link
from checkout.orders.models import Mail, Order, OrderEvent
from checkout.orders.operations.staff_actions import ask_to_cancel
from checkout.orders.outbox.sweep import sweep
from checkout.orders.paying import pay_again
from checkout.orders.states import Canceller, OrderStatus
from checkout.orders.transitions import transition
from payments.models import Payment, Refund
from payments.settling.outcomes import prepare_refund
from tests.support.factories import placed_order
from tests.support.mailer import send_mails
from tests.support.till import Till

HOUR = timedelta(hours=1)


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    return placed_order(shelf[0])


def become(order: Order, *steps: OrderStatus, now: datetime | None = None) -> None:
    for step in steps:
        assert transition(order.pk, step, reason="A test", now=now or timezone.now())
    order.refresh_from_db()


def sent() -> list[str]:
    return [str(message.subject).partition(" order ")[0] for message in mail.outbox]


def last_words() -> str:
    return " ".join(str(mail.outbox[-1].body).split())


def test_bank_that_has_no_answer_is_written_about_after_a_while(order: Order) -> None:
    become(order, OrderStatus.ACTION_REQUIRED)
    now = timezone.now()

    send_mails(now)
    assert sent() == ["We have your"]
    send_mails(now + BANK_WAITS + timedelta(seconds=1))
    send_mails(now + 2 * HOUR)

    assert sent() == ["We have your", "Your bank waits for your approval of"]
    assert "You are charged only if you approve it." in last_words()
    assert "/orders/link/" in last_words()


@pytest.mark.parametrize("answer", [OrderStatus.PAID, OrderStatus.PAYMENT_FAILED])
def test_customer_who_answers_in_time_is_not_reminded(order: Order, answer: OrderStatus) -> None:
    become(order, OrderStatus.ACTION_REQUIRED, answer)

    send_mails(timezone.now() + 2 * HOUR)

    assert len(sent()) == 2
    assert not Mail.objects.filter(kind=Mail.Kind.ACTION_REQUIRED).exists()


def test_reminder_holds_up_no_other_mail_of_its_order(order: Order) -> None:
    become(order, OrderStatus.ACTION_REQUIRED)
    now = timezone.now()
    queue_link(order.number, order.email, now=now)

    send_mails(now + timedelta(seconds=1))

    assert sent() == ["We have your", "The link to your"]


def test_reminder_that_another_release_left_behind_is_not_sent(order: Order) -> None:
    """It moves the order and withdraws nothing."""
    become(order, OrderStatus.ACTION_REQUIRED)
    Order.objects.update(status=OrderStatus.PAID)

    send_mails(timezone.now() + 2 * HOUR)

    assert sent() == ["We have your"]


def test_reminder_comes_before_an_order_of_a_short_life_is_cancelled(
    shelf: list[Product], settings: Settings
) -> None:
    settings.UNPAID_ORDER_EXPIRES_SECONDS = 120
    order = placed_order(shelf[0])
    become(order, OrderStatus.ACTION_REQUIRED)

    send_mails(timezone.now() + timedelta(seconds=61))

    assert sent()[-1] == "Your bank waits for your approval of"


def by_customer(order: Order) -> None:
    assert give_up(order, now=timezone.now())


def by_staff(order: Order) -> None:
    ask_to_cancel(order, by="grace", why="Asked by phone", now=timezone.now())


def by_time(order: Order) -> None:
    pass


@pytest.mark.parametrize("state", [OrderStatus.ACTION_REQUIRED, OrderStatus.PAYMENT_FAILED])
@pytest.mark.parametrize(
    ("ask", "who", "says"),
    [
        (by_customer, Canceller.CUSTOMER, "Your order was cancelled at your request."),
        (by_staff, Canceller.STAFF, "The shop cancelled your order."),
        (by_time, Canceller.TIME, "Your order was not paid in time, so it was cancelled."),
    ],
)
def test_cancelled_order_is_written_about_with_who_cancelled_it(
    order: Order,
    state: OrderStatus,
    ask: Callable[[Order], None],
    who: Canceller,
    says: str,
) -> None:
    become(order, state)

    ask(order)
    assert cancel_unpaid(order, now=timezone.now())
    send_mails(timezone.now() + HOUR)

    order.refresh_from_db()
    assert order.cancelled_by == who
    assert says in last_words()
    assert "You have not been charged for it." in last_words()
    assert Mail.objects.filter(kind=Mail.Kind.CANCELLED).count() == 1


def test_wish_to_cancel_ends_when_its_customer_pays_again(order: Order) -> None:
    become(order, OrderStatus.PAYMENT_FAILED)
    by_customer(order)

    pay_again(
        order,
        gateway="stripe",
        payment_method="pm_card_visa",
        failed_round=None,
        now=timezone.now(),
    )
    become(order, OrderStatus.PAYMENT_FAILED)
    cancel_unpaid(order, now=timezone.now())

    order.refresh_from_db()
    assert order.cancelled_by == Canceller.TIME


def test_first_wish_is_the_one_that_is_told(order: Order) -> None:
    note_canceller(order.pk, Canceller.CUSTOMER)
    note_canceller(order.pk, Canceller.STAFF)

    order.refresh_from_db()
    assert order.cancelled_by == Canceller.CUSTOMER


def test_order_cancelled_by_a_release_before_tells_nobody_a_reason(order: Order) -> None:
    become(order, OrderStatus.PAYMENT_FAILED, OrderStatus.CANCELLED)

    send_mails(timezone.now() + HOUR)

    assert "Your order was cancelled." in last_words()
    assert "paid in time" not in last_words()


def test_revived_order_is_written_about_as_such(order: Order) -> None:
    become(order, OrderStatus.PAYMENT_FAILED, OrderStatus.CANCELLED, OrderStatus.PAID)

    send_mails(timezone.now() + HOUR)

    assert sent()[-1] == "Your payment for"
    assert "arrived after all" in str(mail.outbox[-1].subject)
    assert "took the order up again" in last_words()
    assert "You were charged once, €10.01." in last_words()


def test_payment_that_is_under_way_for_an_hour_is_written_about_once(order: Order) -> None:
    start = order.status_changed_at
    for hours in (0.5, 1.1, 2, 3):
        Order.objects.update(sweep_at=start)
        sweep(now=start + hours * HOUR)

    send_mails(start + 4 * HOUR)

    assert sent() == ["We have your", "Your payment for"]
    assert "longer than usual" in last_words()
    assert "charged" not in last_words()


def test_payment_that_was_decided_meanwhile_is_not_told_as_slow(order: Order) -> None:
    start = order.status_changed_at
    Order.objects.update(sweep_at=start)
    sweep(now=start + 1.1 * HOUR)
    become(order, OrderStatus.PAID)

    send_mails(start + 4 * HOUR)

    assert sent() == ["We have your", "Your receipt for"]


def charge(order: Order, round_: int, *, is_surplus: bool = False) -> Payment:
    return Payment.objects.create(
        order=order,
        round=round_,
        status="paid",
        amount_minor=order.total_minor,
        charged_minor=order.total_minor,
        currency="EUR",
        payment_method="pm_card_visa",
        gateway_payment_id=f"pi_{order.pk}_{round_}",
        is_surplus=is_surplus,
        created_at=timezone.now(),
    )


def test_receipt_of_an_order_charged_twice_tells_of_both(order: Order) -> None:
    charge(order, 1)
    second = charge(order, 2, is_surplus=True)
    Refund.objects.create(
        payment=second,
        status="prepared",
        amount_minor=second.amount_minor,
        reason="A test",
        created_at=timezone.now(),
    )
    become(order, OrderStatus.PAID)

    send_mails(timezone.now() + HOUR)

    assert "You were charged 2 times, €20.02 in all." in last_words()
    assert "€10.01 of it is being sent back to you." in last_words()
    assert "charged once" not in last_words()


def test_second_charge_is_written_about_when_it_is_noticed(
    order: Order, till: Till, shelf: list[Product]
) -> None:
    charge(order, 1)
    become(order, OrderStatus.PAID)
    second = charge(order, 2, is_surplus=True)
    prepare_refund(second, second.amount_minor, CHARGED_TWICE, now=timezone.now())

    send_mails(timezone.now() + HOUR)

    assert "Money goes back to you" in str(mail.outbox[-1].subject)
    assert "You were charged 2 times, €20.02 in all." in last_words()


@pytest.mark.parametrize("kind", ["plain", "html"])
def test_words_of_a_stranger_are_mailed_to_nobody_before_they_paid(order: Order, kind: str) -> None:
    Order.objects.update(full_name="Cheap pills at evil.example", address="Click now", city="Spam")
    become(order, OrderStatus.PAYMENT_FAILED, OrderStatus.CANCELLED)

    send_mails(timezone.now() + HOUR)

    for message in mail.outbox:
        said = str(message.body)
        if kind == "html":
            assert isinstance(message, EmailMultiAlternatives)
            said = str(message.alternatives[0][0])
        assert "evil" not in said
        assert "Click now" not in said
        assert "Spam" not in said


def test_mail_about_a_paid_order_says_where_it_goes(order: Order) -> None:
    become(order, OrderStatus.PAID)

    send_mails(timezone.now() + HOUR)

    assert "12 Inkwell Lane" in last_words()


def test_one_event_writes_one_mail(order: Order) -> None:
    become(
        order,
        OrderStatus.ACTION_REQUIRED,
        OrderStatus.PAYMENT_FAILED,
        OrderStatus.CANCELLED,
        OrderStatus.PAID,
    )

    assert Mail.objects.count() == Mail.objects.values("event").distinct().count()
    moves = OrderEvent.objects.filter(kind=OrderEvent.Kind.TRANSITION)
    assert set(Mail.objects.values_list("event", flat=True)) <= set(
        moves.values_list("pk", flat=True)
    )
