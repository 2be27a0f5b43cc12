"""What staff may do: once, with a reason, and by the ways that lead to no second charge."""

import csv
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.admin.lists import harmless
from checkout.orders.models import Order, OrderEvent, OutboxMessage
from checkout.orders.states import OrderStatus
from payments.gateways.base import OutcomeUnknown
from payments.gateways.stripe.client import StripeGateway
from payments.models import Payment
from payments.settling.settle_order import settle_order
from payments.states import PaymentStatus
from tests.admin.conftest import order_page
from tests.doubles.gateway import FaultyGateway, raising
from tests.support.factories import placed_order
from tests.support.till import Till, only

WHY = {"why": "The customer is on the telephone"}


def url(order: Order, name: str) -> str:
    return f"/admin/orders/order/{order.pk}/{name}/"


@pytest.fixture
def waiting(shelf: list[Product]) -> Order:
    """Published, and its message lost."""
    order = placed_order(shelf[0])
    OutboxMessage.objects.update(published_at=timezone.now())
    return order


@pytest.fixture
def unpaid(shelf: list[Product], till: Till) -> Order:
    order = placed_order(shelf[0], payment_method="pm_card_chargeDeclined")
    till.deliver_messages()
    order.refresh_from_db()
    return order


@pytest.fixture
def unknown(shelf: list[Product], gateway: StripeGateway) -> Payment:
    """The charge was made and its answer lost, and the gateway has not told since."""
    order = placed_order(shelf[0])
    silent = FaultyGateway(gateway, after={"confirm": raising(OutcomeUnknown("timeout"))})
    silent.before["retrieve"] = raising(OutcomeUnknown("timeout"))
    settle_order(order.number, only(silent), clock=timezone.now)
    OutboxMessage.objects.update(published_at=timezone.now())
    return Payment.objects.get()


def staff_events(order: Order) -> list[tuple[str, str, str]]:
    events = order.events.filter(kind=OrderEvent.Kind.STAFF)
    return list(events.values_list("reason", "actor", "explanation"))


@pytest.mark.parametrize("name", ["retry", "put-back"])
def test_lost_message_is_published_again_once(
    operator: Client, waiting: Order, till: Till, name: str
) -> None:
    assert url(waiting, name) in order_page(operator, waiting)

    answers = [operator.post(url(waiting, name), WHY) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert OutboxMessage.objects.get().generation == 2
    ((_, actor, why),) = staff_events(waiting)
    assert (actor, why) == ("operator", WHY["why"])
    till.deliver_messages()
    waiting.refresh_from_db()
    assert waiting.status == OrderStatus.PAID
    assert len(till.charges()) == 1


def test_retry_does_not_wait_for_a_try_that_is_an_hour_away(
    support: Client, shelf: list[Product]
) -> None:
    order = placed_order(shelf[0])
    OutboxMessage.objects.update(available_at=timezone.now() + timedelta(hours=1))

    for _ in range(2):
        support.post(url(order, "retry"), WHY)

    assert OutboxMessage.objects.get().available_at <= timezone.now()
    assert len(staff_events(order)) == 1


def test_retry_of_a_paid_order_only_asks(support: Client, waiting: Order, till: Till) -> None:
    till.settle(waiting)

    support.post(url(waiting, "retry"), WHY)
    till.deliver_messages()

    assert OutboxMessage.objects.filter(kind=OutboxMessage.Kind.CHECK_PAYMENT).count() == 1
    assert len(till.charges()) == 1


def test_unpaid_order_is_cancelled_at_the_gateway_first(
    support: Client, unpaid: Order, till: Till, shelf: list[Product]
) -> None:
    support.post(url(unpaid, "cancel"), WHY)
    unpaid.refresh_from_db()
    assert unpaid.status == OrderStatus.PAYMENT_FAILED  # only the worker cancels

    till.deliver_messages()

    unpaid.refresh_from_db()
    assert unpaid.status == OrderStatus.CANCELLED
    assert Payment.objects.get().closed_at is not None
    shelf[0].refresh_from_db()
    assert shelf[0].stock == 100_000


def test_order_being_paid_is_not_cancelled(support: Client, waiting: Order) -> None:
    assert url(waiting, "cancel") not in order_page(support, waiting)

    answer = support.post(url(waiting, "cancel"), WHY)

    assert "Only an order that waits for its customer" in answer.content.decode()
    assert not OutboxMessage.objects.filter(kind=OutboxMessage.Kind.CANCEL_ORDER).exists()
    assert staff_events(waiting) == []


def test_a_reason_is_needed(support: Client, waiting: Order) -> None:
    assert support.post(url(waiting, "retry"), {"why": " "}).status_code == 200
    assert OutboxMessage.objects.get().generation == 1


def evidence(payment: Payment, became: str) -> dict[str, str]:
    charged = {"gateway_payment_id": payment.gateway_payment_id} if became == "charged" else {}
    return {"became": became, "why": "Seen on the gateway's own site", **charged}


def test_unknown_outcome_resolved_as_charged_pays_the_order(
    operator: Client, unknown: Payment, till: Till
) -> None:
    answer = operator.post(url(unknown.order, "resolve"), evidence(unknown, "charged"))
    assert answer.status_code == 302, answer.content.decode()

    order = Order.objects.get()
    assert order.status == OrderStatus.PAID
    assert ("Resolved: it was charged", "operator", evidence(unknown, "charged")["why"]) in (
        staff_events(order)
    )
    till.check(order)  # and the gateway agrees
    assert len(till.charges()) == 1


def test_unknown_outcome_resolved_wrongly_as_not_charged_ends_in_no_second_charge(
    operator: Client, unknown: Payment, till: Till
) -> None:
    operator.post(url(unknown.order, "resolve"), evidence(unknown, "not_charged"))
    order = Order.objects.get()
    assert order.status == OrderStatus.PAYMENT_FAILED

    order.payment_round, order.status = 2, OrderStatus.PLACED
    order.sweep_at = timezone.now()
    order.save()  # its customer chose another card
    till.settle(order)

    order.refresh_from_db()
    assert order.status == OrderStatus.PAID
    assert len(till.charges()) == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"gateway_payment_id": "pi_of_another"}, "by another id"),
        ({"gateway_payment_id": ""}, "A charge has an id"),
        ({"why": "no idea"}, "at least 10 characters"),
        ({"became": "perhaps"}, "Select a valid choice"),
    ],
    ids=["another id", "no id", "no evidence", "neither"],
)
def test_resolving_without_evidence_changes_nothing(
    operator: Client, unknown: Payment, changed: dict[str, str], said: str
) -> None:
    typed = evidence(unknown, "charged") | changed

    page = operator.post(url(unknown.order, "resolve"), typed).content.decode()

    assert said in page
    unknown.refresh_from_db()
    assert unknown.status == PaymentStatus.UNKNOWN
    assert staff_events(unknown.order) == []


def test_charge_is_not_taken_on_trust_where_the_gateway_never_told_its_id(
    operator: Client, unknown: Payment, shelf: list[Product], till: Till
) -> None:
    """The id that a person found by the order's number may be of another installation's charge."""
    other = placed_order(shelf[1])
    till.settle(other)
    Payment.objects.filter(pk=unknown.pk).update(gateway_payment_id="")

    for typed_id in (other.payments.get().gateway_payment_id, "pi_of_another_installation"):
        typed = evidence(unknown, "charged") | {"gateway_payment_id": typed_id}
        page = operator.post(url(unknown.order, "resolve"), typed).content.decode()

        assert "this shop never confirmed it" in page
    unknown.refresh_from_db()
    assert (unknown.status, unknown.gateway_payment_id) == (PaymentStatus.UNKNOWN, "")


def test_settled_payment_is_not_resolved(operator: Client, waiting: Order, till: Till) -> None:
    till.settle(waiting)

    page = operator.post(
        url(waiting, "resolve"), evidence(waiting.payments.get(), "charged"), follow=True
    ).content.decode()

    assert "nothing was left to resolve" in page
    assert staff_events(waiting) == []


@pytest.mark.parametrize(
    ("attention", "is_found"),
    [
        ("waiting", lambda order: order.status == OrderStatus.PLACED),
        ("person", lambda order: bool(order.needs_person)),
        ("late", lambda order: order.events.filter(from_status="cancelled").exists()),
    ],
)
def test_list_shows_who_needs_attention(
    support: Client,
    shelf: list[Product],
    till: Till,
    attention: str,
    is_found: Callable[[Order], bool],
) -> None:
    orders = [placed_order(shelf[0]) for _ in range(4)]
    for order in orders[1:]:
        till.settle(order)
    Order.objects.update(status_changed_at=timezone.now() - timedelta(hours=1))
    Order.objects.filter(pk=orders[1].pk).update(needs_person="Charged twice")
    OrderEvent.objects.filter(order=orders[2], to_status="paid").update(from_status="cancelled")

    page = support.get("/admin/orders/order/", {"attention": attention}).content.decode()

    for order in Order.objects.all():
        assert (order.number in page) is is_found(order)


def test_prepared_refund_is_agreed_to_on_a_page_with_a_reason(
    support: Client, waiting: Order, till: Till
) -> None:
    till.settle(waiting)
    refund = waiting.payments.get().refunds.create(
        status="prepared", amount_minor=100, reason="Charged twice", created_at=timezone.now()
    )
    page = f"/admin/payments/refund/{refund.pk}/agree/"
    assert page in order_page(support, waiting)

    for _ in range(2):
        support.post(page, WHY)
    till.deliver_messages()

    refund.refresh_from_db()
    assert refund.status == "succeeded"
    assert [actor for _, actor, _ in staff_events(waiting)] == ["support"]


def test_export_is_what_the_list_shows_and_runs_no_formula(
    support: Client, waiting: Order, shelf: list[Product], till: Till
) -> None:
    paid = placed_order(shelf[1])
    till.settle(paid)
    Order.objects.filter(pk=paid.pk).update(full_name='=HYPERLINK("http://evil.example")')

    answer = support.get("/admin/orders/order/export/", {"status__exact": "paid"})
    lines = answer.getvalue().decode().splitlines()

    assert len(lines) == 2
    assert paid.number in lines[1]
    assert "\"'=HYPERLINK" in lines[1]
    assert waiting.number not in lines[1]


# Spreadsheets split at the sign of their own country, whatever the file was written with.
@pytest.mark.parametrize(
    ("typed", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =1", " '=1"),
        ("\t=1", "\t'=1"),
        ("\r\n=1", "\r\n'=1"),
        ("＝1", "'＝1"),
        ("Ada;=1", "Ada;'=1"),
        ("Ada, @x", "Ada, '@x"),
        ("Ada-Lou O'Brien + Söhne", "Ada-Lou O'Brien + Söhne"),
        ("ada+shop@example.com", "ada+shop@example.com"),
    ],
)
def test_no_cell_is_a_formula_in_any_spreadsheet(typed: str, cell: str) -> None:
    assert harmless(typed) == cell


@pytest.mark.parametrize(
    ("language", "delimiter", "total"), [("en", ",", "10.01"), ("de", ";", "10,01")]
)
def test_export_is_read_by_the_spreadsheet_of_ones_language(
    support: Client, waiting: Order, language: str, delimiter: str, total: str
) -> None:
    Order.objects.update(full_name="Zoë Müller")
    other = Order.objects.get().pk

    answer = support.get("/admin/orders/order/export/", HTTP_ACCEPT_LANGUAGE=language)
    content = answer.getvalue()

    assert content.startswith(b"\xef\xbb\xbf")  # without it umlauts are broken
    [row] = csv.DictReader(content.decode("utf-8-sig").splitlines(), delimiter=delimiter)
    assert row["full_name"] == "Zoë Müller"
    assert (row["total (EUR)"], row["currency"]) == (total, "EUR")
    Order.objects.filter(pk=other).update(currency="JPY")
    answer = support.get("/admin/orders/order/export/", HTTP_ACCEPT_LANGUAGE=language)
    assert "1001 JPY" in answer.getvalue().decode()


def test_export_goes_on_past_one_chunk(
    support: Client, shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checkout.orders.admin.lists.EXPORT_CHUNK", 2)
    numbers = {placed_order(shelf[0]).number for _ in range(5)}

    answer = support.get("/admin/orders/order/export/")
    lines = answer.getvalue().decode().splitlines()[1:]

    assert len(lines) == 5
    assert {line.partition(",")[0] for line in lines} == numbers


def test_who_may_export_needs_the_permission(staff_groups: None, waiting: Order) -> None:
    user = User.objects.create_user("looks", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_order"))
    client = Client()
    client.force_login(user)

    assert client.get("/admin/orders/order/export/").status_code == 403
    assert "Export" not in client.get("/admin/orders/order/").content.decode()
