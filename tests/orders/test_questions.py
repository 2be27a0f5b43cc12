"""What is asked of the worker twice is one message, unless the first is on its way already."""

from datetime import timedelta

import pytest
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.enqueue import ask
from checkout.orders.outbox.publish import claim
from tests.support.factories import placed_order

CHECK = OutboxMessage.Kind.CHECK_PAYMENT


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    order = placed_order(shelf[0])
    OutboxMessage.objects.update(published_at=timezone.now())
    return order


def waiting() -> list[OutboxMessage]:
    return list(OutboxMessage.objects.filter(published_at=None).order_by("id"))


@pytest.mark.parametrize("order_of_times", [(0, 60), (60, 0)])
def test_second_question_joins_the_first_at_the_earlier_time(
    order: Order, order_of_times: tuple[int, int]
) -> None:
    now = timezone.now()
    for minutes in order_of_times:
        ask(order.pk, CHECK, at=now + timedelta(minutes=minutes))

    assert [message.available_at for message in waiting()] == [now]


def test_question_of_another_kind_is_another(order: Order) -> None:
    ask(order.pk, CHECK, at=timezone.now())
    ask(order.pk, OutboxMessage.Kind.REFUND, at=timezone.now())

    assert len(waiting()) == 2


def test_question_in_hand_of_a_publisher_is_not_joined(order: Order) -> None:
    """The worker may look at it before this transaction commits."""
    ask(order.pk, CHECK, at=timezone.now())
    claim(now=timezone.now())

    ask(order.pk, CHECK, at=timezone.now())

    assert len(waiting()) == 2
