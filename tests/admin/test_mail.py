"""Staff correct where an order's e-mails go, and have one sent again: once, with a reason."""

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from checkout.catalogue.models import Product
from checkout.orders.dispatch.ship import ship, undo_shipment
from checkout.orders.mail.send import send_next
from checkout.orders.mail.send_again import mails_of
from checkout.orders.mail.server import configured_mail_server
from checkout.orders.models import Mail, Order, OrderEvent
from checkout.runtime.clock import database_now
from tests.admin.conftest import order_page
from tests.support.factories import placed_order
from tests.support.shopper import read_form
from tests.support.till import Till

RIGHT = "ada@right.example"


@pytest.fixture
def paid(shelf: list[Product], till: Till) -> Order:
    order = placed_order(shelf[0])
    till.settle(order)
    send_all()
    mail.outbox.clear()
    return order


def send_all() -> list[str]:
    while send_next(configured_mail_server(), now=database_now()):
        pass
    return [message.to[0] for message in mail.outbox]


def url(order: Order, name: str) -> str:
    return f"/admin/orders/order/{order.pk}/{name}/"


def form_of(client: Client, order: Order, name: str) -> dict[str, str]:
    return read_form(client.get(url(order, name)).content.decode(), "")


def staff_events(order: Order) -> list[tuple[str, str, str]]:
    events = order.events.filter(kind=OrderEvent.Kind.STAFF).order_by("pk")
    return list(events.values_list("reason", "actor", "explanation"))


def test_corrected_address_is_written_to_and_found(support: Client, paid: Order) -> None:
    assert url(paid, "correct-email") in order_page(support, paid)
    typed = form_of(support, paid, "correct-email") | {"email": RIGHT, "why": "A letter missing"}

    answers = [support.post(url(paid, "correct-email"), typed) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 302]
    paid.refresh_from_db()
    assert paid.email == RIGHT
    assert staff_events(paid) == [("E-mail address corrected", "support", "A letter missing")]
    found = support.get("/admin/orders/order/", {"q": RIGHT.upper()}).content.decode()
    assert paid.number in found


def test_of_two_corrections_at_once_the_second_is_told(support: Client, paid: Order) -> None:
    first = form_of(support, paid, "correct-email") | {"email": RIGHT, "why": "As she says"}
    second = first | {"email": "other@example.com"}
    support.post(url(paid, "correct-email"), first)

    answer = support.post(url(paid, "correct-email"), second)

    assert "Somebody else corrected the address" in answer.content.decode()
    paid.refresh_from_db()
    assert paid.email == RIGHT
    assert len(staff_events(paid)) == 1


@pytest.mark.parametrize(
    "typed", [{"email": "ada", "why": "x"}, {"email": RIGHT, "why": " "}, {"email": RIGHT}]
)
def test_correction_needs_an_address_and_a_reason(
    support: Client, paid: Order, typed: dict[str, str]
) -> None:
    support.post(url(paid, "correct-email"), form_of(support, paid, "correct-email") | typed)

    paid.refresh_from_db()
    assert paid.email != RIGHT
    assert staff_events(paid) == []


@pytest.mark.parametrize("kind", [Mail.Kind.RECEIVED, Mail.Kind.PAID])
def test_mail_is_sent_again_once_for_a_page(support: Client, paid: Order, kind: Mail.Kind) -> None:
    sent = paid.mails.get(kind=kind)
    typed = form_of(support, paid, "send-mail") | {"which": str(sent.pk), "why": "Not found"}

    answers = [support.post(url(paid, "send-mail"), typed)]
    assert send_all() == [paid.email]  # it has left before the second click comes
    answers.append(support.post(url(paid, "send-mail"), typed))

    assert [answer.status_code for answer in answers] == [302, 302]
    assert send_all() == [paid.email]
    assert staff_events(paid) == [(f"E-mail sent again: {kind.label}", "support", "Not found")]
    assert paid.mails.count() == 2
    # Another page is another wish.
    again = form_of(support, paid, "send-mail") | {"which": str(sent.pk), "why": "Again"}
    support.post(url(paid, "send-mail"), again)
    assert len(send_all()) == 2


def test_link_is_mailed_to_a_customer_who_has_none(support: Client, paid: Order) -> None:
    typed = form_of(support, paid, "send-mail") | {"which": "link", "why": "Lost the mail"}

    for _ in range(2):
        assert support.post(url(paid, "send-mail"), typed).status_code == 302
        send_all()

    assert len(mail.outbox) == 1
    assert "The link to your order" in mail.outbox[0].subject
    assert len(staff_events(paid)) == 1
    again = form_of(support, paid, "send-mail") | {"which": "link", "why": "Again"}
    support.post(url(paid, "send-mail"), again)
    assert len(send_all()) == 2
    assert paid.mails.filter(kind=Mail.Kind.LINK).count() == 1


def test_mail_of_another_order_is_not_sent(
    support: Client, paid: Order, shelf: list[Product]
) -> None:
    other = placed_order(shelf[1]).mails.get()
    typed = form_of(support, paid, "send-mail") | {"which": str(other.pk), "why": "x"}

    answer = support.post(url(paid, "send-mail"), typed)

    assert "Select a valid choice" in answer.content.decode()


def test_order_is_found_by_words_of_a_name(support: Client, paid: Order) -> None:
    expected = {
        "Ada Quillfeather": True,
        "quillfeather": True,
        "Quillfeather, Ada": True,
        "quill": True,
        "o'neill-quill": False,
        "Bo": False,
        "feather": False,
        "'": False,
        "\\' | ada:*": True,
    }

    assert {typed: is_found(support, paid, typed) for typed in expected} == expected


def is_found(support: Client, order: Order, typed: str) -> bool:
    found = support.get("/admin/orders/order/", {"q": typed})
    assert found.status_code == 200, typed
    return order.number in found.content.decode()


def test_names_are_found_as_they_are_written(support: Client, paid: Order) -> None:
    names = [
        ("Zoë Müller-Lüdenscheidt", "müller"),
        ("Zoë Müller-Lüdenscheidt", "Müller-Lüdenscheidt"),
        ("Seán O'Brien", "o'brien"),
        ("J.R.R. Tolkien", "J.R.R. Tolkien"),
        ("Li Bo", "Bo"),
        ("Ada/Charles", "charles"),
    ]
    for name, typed in names:
        Order.objects.filter(pk=paid.pk).update(full_name=name)

        assert is_found(support, paid, typed), (name, typed)


def test_search_by_name_reads_no_other_orders(
    support: Client, paid: Order, shelf: list[Product]
) -> None:
    """By its index, whatever the planner thinks of so few rows."""
    with CaptureQueriesContext(connection) as captured:
        support.get("/admin/orders/order/", {"q": "quillfeather"})
    [sql] = [query["sql"] for query in captured if "to_tsquery" in query["sql"]]

    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute(f"EXPLAIN {sql}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")

    assert "orders_order_name_idx" in plan, plan


def test_order_page_runs_the_same_statements_for_any_number_of_lines_and_events(
    support: Client, shelf: list[Product], till: Till
) -> None:
    small, large = placed_order(shelf[0]), placed_order(*shelf)
    for order in (small, large):
        till.settle(order)
    for _ in range(10):
        typed = form_of(support, large, "send-mail") | {"which": "link", "why": "Again"}
        support.post(url(large, "send-mail"), typed)
        send_all()
    payment = large.payments.get()
    for number in range(5):
        payment.refunds.create(
            status="requested", amount_minor=1, reason=f"{number}", created_at=database_now()
        )

    def statements(order: Order) -> int:
        with CaptureQueriesContext(connection) as captured:
            order_page(support, order)
        return len(captured)

    statements(small)
    assert len(shelf) > 3
    assert statements(large) == statements(small)


def offered(client: Client, order: Order) -> list[str]:
    """What the page offers to send again."""
    form = client.get(url(order, "send-mail")).context["form"]
    return [label for _, label in form.fields["which"].choices]


def test_mails_about_parcels_are_offered_and_one_that_is_not_true_any_more_is_not(
    support: Client, paid: Order
) -> None:
    parcel = ship(paid, None, key="k", by="clerk", now=database_now())
    send_all()
    assert any("A parcel was sent" in label for label in offered(support, paid))

    undo_shipment(parcel, by="clerk", why="Wrong shelf", now=database_now())

    labels = offered(support, paid)
    assert not any(label.startswith("A parcel was sent") for label in labels)
    assert any("marked as sent by mistake" in label for label in labels)
    told = Mail.objects.get(kind=Mail.Kind.SHIPPED)
    typed = form_of(support, paid, "send-mail") | {"which": str(told.pk), "why": "Again"}
    assert "Select a valid choice" in support.post(url(paid, "send-mail"), typed).content.decode()
    assert told not in mails_of(paid.number)


def test_mail_to_the_shop_is_not_offered_as_one_to_the_customer(
    support: Client, paid: Order
) -> None:
    event = paid.events.exclude(pk__in=paid.mails.values("event")).order_by("pk").last()
    event = event or paid.events.create(kind="note", reason="x", created_at=database_now())
    paid.mails.create(
        event=event, kind=Mail.Kind.SHOP_ORDER, available_at=database_now(), sent_at=database_now()
    )

    assert not any("To the shop" in label for label in offered(support, paid))
