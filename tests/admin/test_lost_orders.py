"""Lost orders are shown to staff with what is known of them, until a person has seen to each."""

import pytest
from django.test import Client
from django.utils import timezone

from checkout.orders.identity.installation import installation_id
from checkout.orders.identity.order_identity import OrderIdentity
from payments.books.lost_orders import note_lost
from payments.models import LostOrder


@pytest.fixture
def lost(transactional_db: None) -> LostOrder:
    note_lost(
        OrderIdentity(number="100482-61", reference="lost-reference", installation="ours"),
        gateway_payment_id="pi_lost",
        state="paid",
        amount_minor=1250,
        currency="EUR",
        now=timezone.now(),
    )
    return LostOrder.objects.get()


def test_lost_order_is_shown_until_it_is_seen_to(support: Client, lost: LostOrder) -> None:
    to_see = "/admin/payments/lostorder/?seen=no"
    assert "1 lost order" in support.get("/admin/dashboard/").content.decode()
    page = support.get(to_see).content.decode()
    assert all(known in page for known in ("lost-reference", "pi_lost", "€12.50", "100482-61"))

    address = f"/admin/payments/lostorder/{lost.pk}/seen/"
    assert address in support.get(f"/admin/payments/lostorder/{lost.pk}/change/").content.decode()
    support.post(address, {"why": "Refunded at the gateway"})

    lost.refresh_from_db()
    assert (lost.seen_to_by, lost.seen_to_how) == ("support", "Refunded at the gateway")
    assert lost.seen_to_at
    assert "lost-reference" not in support.get(to_see).content.decode()
    assert "lost order" not in support.get("/admin/dashboard/").content.decode()


def test_saying_so_twice_keeps_the_first(support: Client, lost: LostOrder) -> None:
    address = f"/admin/payments/lostorder/{lost.pk}/seen/"
    for why in ("Refunded at the gateway", "Something else"):
        support.post(address, {"why": why})

    lost.refresh_from_db()
    assert lost.seen_to_how == "Refunded at the gateway"


def test_staff_read_the_installations_id(support: Client) -> None:
    assert installation_id() in support.get("/admin/orders/installation/").content.decode()


def test_staff_agree_on_its_page(support: Client, lost: LostOrder) -> None:
    address = f"/admin/payments/lostorder/{lost.pk}/give-up/"
    assert address in support.get(f"/admin/payments/lostorder/{lost.pk}/change/").content.decode()
    assert "Send the money back" in support.get(address).content.decode()
    lost.refresh_from_db()
    assert lost.agreed_at is None  # only a press agrees

    support.post(address, {"why": "Nobody sends it"})
    support.post(address, {"why": "Once more"})

    lost.refresh_from_db()
    assert (lost.agreed_by, lost.agreed_why) == ("support", "Nobody sends it")
    assert lost.refund_key
    assert (
        address not in support.get(f"/admin/payments/lostorder/{lost.pk}/change/").content.decode()
    )
