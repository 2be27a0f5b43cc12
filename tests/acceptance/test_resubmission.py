"""The rows of the resubmission table that need real processes or a broken connection."""

from collections.abc import Iterator

import pytest
import requests
from django.db import connection

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from config.local.postgres_proxy import Cut, PostgresProxy
from tests.support.codes import new_code
from tests.support.filled import filled as filled
from tests.support.long import at_length
from tests.support.presses import AT_ONCE, press_at_once
from tests.support.processes import ShopProcesses, database_url
from tests.support.shopper import TYPED, OverHttp, Shopper, read_form
from tests.support.till import Charge, Till, assert_one_order_one_charge

FEW_ROUNDS, ROUNDS = 3, 30


@pytest.mark.timeout(240)
@pytest.mark.parametrize("rounds", [FEW_ROUNDS, *at_length(ROUNDS)])
def test_sixteen_posts_of_one_token_over_two_processes_make_one_order(
    processes: ShopProcesses, till: Till, rounds: int
) -> None:
    """Each round is a purchase of its own, sent by sixteen connections at once."""
    press_at_once(processes, rounds=rounds)

    orders = list(Order.objects.all())
    assert len(orders) == rounds
    assert {order.resubmission_count for order in orders} == {AT_ONCE - 1}
    assert Product.objects.get(sku="SKU-01").stock == 100_000 - rounds
    till.settle_everything_twice()
    charges = sorted(till.charges(), key=lambda charge: charge.order)
    assert charges == sorted(
        (Charge(order.number, order.total_minor, order.currency) for order in orders),
        key=lambda charge: charge.order,
    )


@pytest.fixture
def wire(processes: ShopProcesses) -> Iterator[PostgresProxy]:
    proxy = PostgresProxy(connection.settings_dict["HOST"], int(connection.settings_dict["PORT"]))
    yield proxy
    proxy.close()


@pytest.fixture
def shopper_on_the_wire(processes: ShopProcesses, wire: PostgresProxy) -> Shopper:
    return Shopper(OverHttp(processes.web(DATABASE_URL=database_url(port=wire.port)).url))


def test_connection_cut_after_commit_was_sent(
    shopper_on_the_wire: Shopper, wire: PostgresProxy, till: Till
) -> None:
    shopper_on_the_wire.add_to_cart("SKU-01")
    form = shopper_on_the_wire.open_checkout()
    wire.cut_next(Cut.AFTER_COMMIT)

    answer = shopper_on_the_wire.submit(form)

    assert wire.cuts_made == 1
    order = assert_one_order_one_charge(till)
    assert (answer.status, answer.location) == (303, f"/orders/{order.reference}/")
    assert order.resubmission_count == 0  # it was found as our own, not placed a second time
    assert order.outbox_messages.count() == 1  # no code that waits for COMMIT's reply has run


def test_connection_cut_before_commit(
    shopper_on_the_wire: Shopper, wire: PostgresProxy, till: Till
) -> None:
    shopper_on_the_wire.add_to_cart("SKU-01")
    form = shopper_on_the_wire.open_checkout()
    wire.cut_next(Cut.BEFORE_COMMIT)

    answer = shopper_on_the_wire.submit(form)

    assert wire.cuts_made == 1
    order = assert_one_order_one_charge(till)
    assert (answer.status, answer.location) == (303, f"/orders/{order.reference}/")
    assert Product.objects.get(sku="SKU-01").stock == 99_999


def test_database_that_drops_every_attempt_keeps_the_form_for_the_next_press(
    shopper_on_the_wire: Shopper, wire: PostgresProxy, till: Till
) -> None:
    shopper_on_the_wire.add_to_cart("SKU-01")
    form = shopper_on_the_wire.open_checkout()
    wire.cut_next(*[Cut.BEFORE_COMMIT] * 1_000)

    refused = shopper_on_the_wire.submit(form)

    assert refused.status == 503
    wire.cut_next()  # none, from here on
    assert "We could not store your order just now" in refused.words
    assert "you cannot be charged twice" in refused.words
    kept = read_form(refused.text, "/checkout/")
    assert {name: kept.get(name) for name in TYPED} == TYPED
    assert kept["token"] == form["token"]
    assert not Order.objects.exists()
    assert shopper_on_the_wire.submit(kept).status == 303
    assert_one_order_one_charge(till)


def test_half_open_first_attempt_lets_go_of_the_row(
    shopper_on_the_wire: Shopper, wire: PostgresProxy, till: Till
) -> None:
    """Postgres does not hear that its client is gone. Its own limits end the first attempt (10 s
    idle in a transaction); until then a press waits 3 s for the row, thrice at most. An order with
    a discount code is placed row by row, so that a row is held between two statements."""
    shopper_on_the_wire.typed["code"] = new_code().code
    shopper_on_the_wire.add_to_cart("SKU-01")
    form = shopper_on_the_wire.open_checkout()
    wire.cut_next(Cut.HALF_OPEN)

    answers = [shopper_on_the_wire.submit(form)]
    while answers[-1].status == 503 and len(answers) < 5:
        assert "press the button again" in answers[-1].words.lower()
        answers.append(shopper_on_the_wire.submit(read_form(answers[-1].text, "/checkout/")))

    assert wire.cuts_made == 1
    assert answers[-1].status == 303
    print(f"\nPresses until the half-open attempt let go: {len(answers)}")
    assert_one_order_one_charge(till)


def test_web_process_killed_in_the_middle_of_placing(processes: ShopProcesses, till: Till) -> None:
    doomed, healthy = processes.web(FAULT_POINT="kill before commit sent"), processes.web()
    browser = OverHttp(doomed.url)
    shopper = Shopper(browser)
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    with pytest.raises(requests.ConnectionError):
        shopper.submit(form)
    assert not Order.objects.exists()

    answer = Shopper(browser.same_browser_at(healthy.url)).submit(form)

    assert answer.status == 303
    assert_one_order_one_charge(till)
