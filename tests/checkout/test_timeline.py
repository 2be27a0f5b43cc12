"""What happened to an order, in its shopper's words."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from checkout.catalogue.models import Product
from checkout.orders.history import note
from checkout.orders.models import Order, OrderEvent
from checkout.orders.states import TRANSITIONS, Canceller, OrderStatus
from checkout.orders.transitions import transition
from checkout.views.order.timeline import CANCELLATIONS, MOVES, NEW, timeline
from tests.support.factories import placed_order
from tests.support.shopper import Shopper

ALLOWED = {(str(source), str(to)) for source, goals in TRANSITIONS.items() for to in goals}


def told(order: Order) -> list[str]:
    return [step.words for step in timeline(order)]


def test_every_allowed_transition_has_words_and_no_other() -> None:
    """A cancellation is told by who wanted it."""
    others = {(source, to) for source, to in ALLOWED if to != OrderStatus.CANCELLED}

    assert set(MOVES) == others | {(NEW, str(OrderStatus.PLACED))}
    assert set(CANCELLATIONS) == {"", *Canceller}


@pytest.mark.parametrize(("source", "to"), sorted(ALLOWED))
def test_transition_is_told_without_its_inner_reason(
    shopper: Shopper, shelf: list[Product], source: str, to: str
) -> None:
    order = placed_order(shelf[0])
    Order.objects.filter(pk=order.pk).update(status=source)
    transition(order.pk, OrderStatus(to), reason="Lease of worker 7 ended", now=timezone.now())

    page = shopper.open_link(order)

    assert (MOVES.get((source, to)) or CANCELLATIONS[""]) in page.words
    assert "worker 7" not in page.text


def test_notes_for_support_are_not_shown(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    before = told(order)
    note(order.pk, "A person must look: charged twice", now=timezone.now())
    OrderEvent.objects.create(
        order=order, kind=OrderEvent.Kind.SWEPT, reason="Published again", created_at=timezone.now()
    )

    assert told(order) == before


def test_a_thousand_repeats_are_one_step_at_the_time_of_the_first(
    shelf: list[Product], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    order = placed_order(shelf[0])
    first_at = timezone.now() + timedelta(seconds=5)
    OrderEvent.objects.bulk_create(
        OrderEvent(
            order=order,
            kind=OrderEvent.Kind.RESUBMITTED,
            reason="Sent again",
            created_at=first_at + timedelta(seconds=n),
        )
        for n in range(1000)
    )

    with django_assert_num_queries(3):
        steps = timeline(order)

    assert steps[-1].happened_at == first_at
    assert [step.words for step in steps[1:]] == [
        "Your order reached us again. It is still this one order."
    ]
