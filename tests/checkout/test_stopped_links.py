"""Where an e-mail address is corrected, the links that went to the other address stop, and so do
the browsers that had opened them. The customer's own ways to the order stay."""

import pytest
from django.contrib.auth.models import User
from django.core import mail, signing

from checkout.access import OPENED_KEY
from checkout.catalogue.models import Product
from checkout.orders.links import SALT, link_path
from checkout.orders.mail.by_staff import correct_email
from checkout.orders.models import Mail, Order, OrderEvent
from checkout.runtime.clock import database_now
from tests.support.factories import placed_order
from tests.support.mailer import send_mails
from tests.support.shopper import InProcess, Shopper

RIGHT = "ada@right.example"


def correct(order: Order, email: str = RIGHT) -> None:
    order.refresh_from_db()
    correct_email(
        order, email=email, seen=order.email, by="ann", why="As she says", now=database_now()
    )
    order.refresh_from_db()


def page_of(order: Order) -> str:
    return f"/orders/{order.reference}/"


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    return placed_order(shelf[0])


def test_link_of_an_order_that_was_never_corrected_is_the_one_of_releases_before(
    order: Order,
) -> None:
    before = signing.Signer(salt=SALT).sign(order.reference)

    assert link_path(order) == f"/orders/link/{before}/"


def test_old_link_opens_nothing_after_a_correction(order: Order, shopper: Shopper) -> None:
    old = link_path(order)

    correct(order)

    assert shopper.web.get(old).status == 404
    assert shopper.web.get(page_of(order)).status == 404
    assert shopper.web.get(link_path(order)).status == 303
    assert order.number in shopper.web.get(page_of(order)).words


def test_browser_that_had_opened_the_old_link_is_shown_nothing_any_more(
    order: Order, shopper: Shopper
) -> None:
    shopper.open_link(order)
    assert shopper.web.get(page_of(order)).status == 200

    correct(order)

    for tail in ("", "status/"):
        assert shopper.web.get(f"{page_of(order)}{tail}").status == 404


def test_each_correction_stops_the_links_of_all_before(order: Order, shopper: Shopper) -> None:
    links = [link_path(order)]
    for email in (RIGHT, "ada@other.example"):
        correct(order, email)
        links.append(link_path(order))

    assert [shopper.web.get(link).status for link in links] == [404, 404, 303]


def test_session_that_placed_it_and_its_owner_keep_it(shopper: Shopper) -> None:
    user = User.objects.create_user("owner")
    assert isinstance(shopper.web, InProcess)
    shopper.web.client.force_login(user)
    shopper.buy("SKU-01")
    order = Order.objects.get()
    elsewhere = InProcess()
    elsewhere.client.force_login(user)

    correct(order)

    shopper.web.client.logout()
    assert elsewhere.get(page_of(order)).status == 200
    guest = Shopper(InProcess())
    guest.typed["email"] = "bea@example.com"
    guest.buy("SKU-02")
    other = Order.objects.latest("id")
    correct(other)
    assert guest.web.get(page_of(other)).status == 200


def test_order_that_was_opened_twice_is_kept_once(order: Order, shopper: Shopper) -> None:
    for _ in range(2):
        shopper.open_link(order)
    correct(order)
    for _ in range(2):
        shopper.open_link(order)

    assert isinstance(shopper.web, InProcess)
    assert shopper.web.client.session[OPENED_KEY] == [f"{order.reference}.1"]


def test_signed_version_cannot_be_changed(order: Order, shopper: Shopper) -> None:
    old = link_path(order)
    correct(order)

    forged = old.replace(f"{order.reference}:", f"{order.reference}.1:")

    assert forged != old
    assert shopper.web.get(forged).status == 404


def test_correction_sends_the_new_link_and_waiting_mails_to_the_new_address(order: Order) -> None:
    assert order.mails.filter(sent_at=None).count() == 1

    correct(order)
    send_mails()

    assert {each.to[0] for each in mail.outbox} == {RIGHT}
    [link] = [each for each in mail.outbox if "The link to your order" in each.subject]
    assert link_path(order) in link.body
    assert "Somebody, most likely you" not in link.body
    [event] = order.events.filter(kind=OrderEvent.Kind.STAFF)
    assert Mail.objects.get(event=event).kind == Mail.Kind.LINK


def test_correction_that_changes_nothing_stops_nothing(order: Order, shopper: Shopper) -> None:
    shopper.open_link(order)

    correct(order, order.email)

    assert shopper.web.get(page_of(order)).status == 200
    assert not order.mails.filter(kind=Mail.Kind.LINK).exists()
