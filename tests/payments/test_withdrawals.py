"""Staff decide about a withdrawal: once, and the money goes back once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import requests
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.attention.queries import open_reasons
from checkout.orders.dispatch.ship import ship
from checkout.orders.models import Mail, Order, Withdrawal
from checkout.orders.withdrawals.decide import DECIDED, attach, close, refuse
from checkout.orders.withdrawals.state import Stated, state_withdrawal
from checkout.orders.withdrawals.take_up import take_up_statements
from payments.models import Refund
from payments.sandbox.server import SandboxServer
from payments.withdrawals import BY_HAND, CANCEL, ON_RETURN, REFUND_NOW, agree, ways_to_agree
from tests.support.factories import placed_order
from tests.support.mailer import send_mails
from tests.support.till import Till

AT_ONCE = 6


@pytest.fixture
def order(shelf: list[Product], till: Till) -> Order:
    order = placed_order(shelf[0])
    till.settle(order)
    order.refresh_from_db()
    return order


@pytest.fixture
def ada(transactional_db: None) -> User:
    return User.objects.create_superuser("ada")


def stated_about(order: Order, email: str = "", number: str = "") -> Withdrawal:
    stated = Stated(
        number=number or order.number, full_name="Ada", email=email or order.email, about="the pen"
    )
    # A decided statement of the same minute keeps its key.
    key = f"k{Withdrawal.objects.count()}"
    state_withdrawal(stated, key=key, language="", now=timezone.now())
    take_up_statements(now=timezone.now())
    return Withdrawal.objects.latest("id")


def send(order: Order) -> None:
    ship(order, None, key="parcel", by="clerk", now=timezone.now())


def sent_back(sandbox: SandboxServer) -> list[int]:
    ledger = requests.get(f"{sandbox.url}/sandbox/ledger", timeout=10).json()
    return [refund["amount"] for refund in ledger["refunds"]]


def agreed(statement: Withdrawal, way: str, person: User) -> str:
    return agree(statement, way, person=person, why="By law", now=timezone.now())


def test_agreeing_before_anything_was_sent_cancels_and_refunds_once(
    order: Order, ada: User, till: Till, sandbox: SandboxServer
) -> None:
    product = order.lines.get().product
    stock_before = Product.objects.get(pk=product.pk).stock if product else 0
    statement = stated_about(order)

    agreed(statement, CANCEL, ada)
    assert agreed(statement, CANCEL, ada) == DECIDED
    till.deliver_messages()

    order.refresh_from_db()
    assert (order.status, order.dispatch_status) == ("refunded", "called_off")
    assert order.cancelled_by == "customer"
    assert sent_back(sandbox) == [order.total_minor]
    assert product
    assert Product.objects.get(pk=product.pk).stock == stock_before + 1
    assert open_reasons(order) == []
    statement.refresh_from_db()
    assert (statement.status, statement.decided_by) == ("agreed", "ada")
    event = order.events.get(reason__startswith="Agreed to the withdrawal")
    assert (event.actor, event.explanation) == ("ada", "By law")


@pytest.mark.parametrize("sent", [False, True], ids=["unsent", "sent"])
def test_decided_by_many_at_once_is_decided_once_with_one_refund(
    order: Order, ada: User, till: Till, sandbox: SandboxServer, sent: bool
) -> None:
    if sent:
        send(order)
    statement = stated_about(order)
    together = threading.Barrier(AT_ONCE)

    def press(number: int) -> str:
        try:
            connection.ensure_connection()
            together.wait(timeout=20)
            if number % 2:
                return refuse(statement, by="eve", why="No", now=timezone.now())
            return agreed(statement, REFUND_NOW if sent else CANCEL, ada)
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = list(pool.map(press, range(AT_ONCE)))
    till.deliver_messages()

    assert told.count(DECIDED) == AT_ONCE - 1
    statement.refresh_from_db()
    is_agreed = statement.status == "agreed"
    assert sent_back(sandbox) == ([order.total_minor] if is_agreed else [])
    assert order.events.filter(reason__icontains="withdrawal ref").count() == int(not is_agreed)
    assert order.events.filter(reason__startswith="Agreed").count() == int(is_agreed)


def test_agreeing_after_it_was_sent_refunds_at_once(
    order: Order, ada: User, till: Till, sandbox: SandboxServer
) -> None:
    send(order)
    statement = stated_about(order)
    assert ways_to_agree(Order.objects.get()) == [REFUND_NOW, ON_RETURN, BY_HAND]

    agreed(statement, REFUND_NOW, ada)
    agreed(statement, REFUND_NOW, ada)
    till.deliver_messages()

    assert sent_back(sandbox) == [order.total_minor]
    order.refresh_from_db()
    assert (order.status, order.dispatch_status) == ("refunded", "sent")


def test_agreeing_until_the_return_has_come_moves_no_money(order: Order, ada: User) -> None:
    send(order)
    statement = stated_about(order)

    agreed(statement, ON_RETURN, ada)
    send_mails()

    assert not Refund.objects.exists()
    assert order.mails.filter(kind=Mail.Kind.WITHDRAWAL_AGREED).count() == 1
    assert "send the goods back" in str(mail.outbox[-1].body)
    assert open_reasons(order) == []


def test_what_cannot_follow_stores_no_decision(order: Order, ada: User) -> None:
    statement = stated_about(order)
    send(order)

    with pytest.raises(ActionImpossible):
        agreed(statement, CANCEL, ada)

    statement.refresh_from_db()
    assert statement.status == "stated"
    assert open_reasons(Order.objects.get()) != []


def test_order_that_waits_for_its_customer_is_cancelled_at_the_gateway(
    shelf: list[Product], ada: User, till: Till
) -> None:
    order = placed_order(shelf[0], payment_method="pm_card_chargeDeclined")
    till.settle(order)
    statement = stated_about(order)

    agreed(statement, CANCEL, ada)
    till.deliver_messages()

    order.refresh_from_db()
    assert (order.status, order.cancelled_by) == ("cancelled", "customer")


def test_order_whose_payment_is_under_way_is_decided_later(shelf: list[Product], ada: User) -> None:
    order = placed_order(shelf[0])
    statement = stated_about(order)

    assert ways_to_agree(order) == []
    with pytest.raises(ActionImpossible):
        agreed(statement, CANCEL, ada)


def test_refusing_tells_the_customer_why_once(order: Order) -> None:
    statement = stated_about(order)

    for _ in range(2):
        refuse(statement, by="ada", why="It was made to {measure}.", now=timezone.now())
    send_mails()

    told = [each for each in mail.outbox if "About your withdrawal" in each.subject]
    assert len(told) == 1
    assert "It was made to {measure}." in str(told[0].body)
    assert open_reasons(order) == []


def test_decided_order_can_be_withdrawn_from_anew(order: Order) -> None:
    first = stated_about(order)
    refuse(first, by="ada", why="No", now=timezone.now())

    second = stated_about(order)

    assert second.pk != first.pk
    assert second.order == order
    assert len(open_reasons(order)) == 1


def test_unmatched_is_attached_and_then_decided(order: Order, ada: User) -> None:
    statement = stated_about(order, email="other@example.com")
    assert statement.order is None
    with pytest.raises(ActionImpossible):
        agreed(statement, CANCEL, ada)
    with pytest.raises(ActionImpossible):
        attach(statement, number="1-1", by="ada", why="Telephone", now=timezone.now())

    attach(statement, number=order.number, by="ada", why="Telephone", now=timezone.now())
    again = attach(statement, number=order.number, by="ada", why="Telephone", now=timezone.now())

    assert again == DECIDED
    statement.refresh_from_db()
    assert statement.order == order
    assert len(open_reasons(order)) == 1
    agreed(statement, CANCEL, ada)
    assert open_reasons(order) == []


def test_order_has_one_open_statement_whoever_attaches(order: Order) -> None:
    stated_about(order)
    other = stated_about(order, email="other@example.com")

    with pytest.raises(ActionImpossible, match="open already"):
        attach(other, number=order.number, by="ada", why="Telephone", now=timezone.now())
    close(other, by="ada", why="Twice", now=timezone.now())

    other.refresh_from_db()
    assert (other.status, other.decided_why, other.order) == ("closed", "Twice", None)
    assert close(other, by="ada", why="Twice", now=timezone.now()) == DECIDED


def test_statement_that_was_not_taken_up_yet_is_taken_up_by_the_decision(order: Order) -> None:
    stated = Stated(number=order.number, full_name="Ada", email=order.email)
    state_withdrawal(stated, key="k", language="", now=timezone.now() - timedelta(minutes=5))

    refuse(Withdrawal.objects.get(), by="ada", why="No", now=timezone.now())
    take_up_statements(now=timezone.now())

    assert Withdrawal.objects.get().status == "refused"
    assert open_reasons(order) == []
    assert order.mails.filter(kind=Mail.Kind.WITHDRAWN).count() == 1


# The pages.


def decide_page(statement: Withdrawal) -> str:
    return f"/admin/orders/withdrawal/{statement.pk}/decide/"


def test_page_decides_and_a_second_press_is_told(
    order: Order, admin_client: Client, till: Till, sandbox: SandboxServer
) -> None:
    statement = stated_about(order)
    change = admin_client.get(f"/admin/orders/order/{order.pk}/change/").content.decode()
    assert decide_page(statement) in change
    page = admin_client.get(decide_page(statement)).content.decode()
    assert "Agree and cancel the order" in page
    assert "the pen" in page

    typed = {"decision": CANCEL, "why": "By law"}
    answers = [admin_client.post(decide_page(statement), typed) for _ in range(2)]
    till.deliver_messages()

    assert [answer.status_code for answer in answers] == [302, 302]
    assert sent_back(sandbox) == [order.total_minor]
    shown = admin_client.get(answers[1].headers["Location"]).content.decode()
    assert "Somebody has decided about it meanwhile" in shown


def test_page_attaches_an_unmatched_one(order: Order, admin_client: Client) -> None:
    statement = stated_about(order, email="other@example.com")
    page = decide_page(statement)

    wrong = admin_client.post(page, {"decision": "attach", "number": "12", "why": "Telephone"})
    right = admin_client.post(
        page, {"decision": "attach", "number": order.number, "why": "Telephone"}
    )

    assert "Which order?" in wrong.content.decode()
    assert right.status_code == 302
    statement.refresh_from_db()
    assert statement.order == order


def test_list_shows_open_ones_and_makes_as_many_statements_for_many(
    order: Order, admin_client: Client
) -> None:
    decided = stated_about(order, email="closed@example.com")
    close(decided, by="ada", why="No", now=timezone.now())
    stated_about(order)

    def listed(query: str = "") -> tuple[str, int]:
        with CaptureQueriesContext(connection) as captured:
            page = admin_client.get(f"/admin/orders/withdrawal/{query}").content.decode()
        return page, len(captured)

    page, before = listed()
    assert order.email in page
    assert "closed@example.com" not in page
    assert "closed@example.com" in listed("?state=all")[0]
    assert order.email in listed(f"?q={order.number}")[0]
    for number in range(20):
        stated_about(order, email=f"{number}@example.com")
    page, after = listed()
    assert "19@example.com" in page
    assert after == before
