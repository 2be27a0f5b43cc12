"""The admin's pages for support and operators, with a day behind them, to be looked at.

Imported when Django is set up: the models are loaded at the top.
"""

from datetime import timedelta
from pathlib import Path

from django.contrib.auth.models import User
from django.db.models import OuterRef, Subquery
from django.test import Client
from django.utils import timezone

from checkout.orders.attention.flags import put_before_a_person
from checkout.orders.attention.reasons import UNKNOWN_TOO_LONG
from checkout.orders.models import Order, ProcessAlive, QueueSeen
from payments.gateways.stripe.client import StripeGateway
from payments.models import Payment
from payments.sandbox.server import SandboxServer
from tests.support.eventful_order import eventful_order
from tests.support.shopper import OverHttp, Shopper, somebody_else
from tests.support.till import Till
from tests.tools.bench.history import load

ORDERS = 240

TO_SEND = "/admin/orders/ordertosend/"

# So that everybody still lives when the last one is taken.
PICTURES_TAKE = timedelta(minutes=10)


def a_day_at_the_desk(shop: str, folder: Path) -> dict[str, str]:
    """The name of each page → its path."""
    load(ORDERS)
    _spread_over_the_day()
    put_before_a_person(Order.objects.earliest("id").pk, UNKNOWN_TOO_LONG, now=timezone.now())
    order = _eventful(shop, folder)
    now = timezone.now() + PICTURES_TAKE
    QueueSeen.objects.create(waiting=3, in_hand=2, delayed=0, dead_letters=1, seen_at=now)
    for number, kind in enumerate(["publisher", "worker", "worker"]):
        ProcessAlive.objects.create(name=f"shop:{number}", kind=kind, seen_at=now)
    payment = order.payments.get(status="paid")
    return {
        "admin": "/admin/",
        "admin-orders": "/admin/orders/order/",
        "admin-person": "/admin/orders/order/?attention=person",
        "admin-story": f"/admin/orders/order/{order.pk}/change/",
        "admin-retry": f"/admin/orders/order/{order.pk}/retry/",
        "admin-refund": f"/admin/payments/payment/{payment.pk}/refund/",
        "admin-dashboard": "/admin/dashboard/",
        "admin-to-send": TO_SEND,
        "admin-pick-list": f"{TO_SEND}pick-list/",
        "admin-packing-slips": f"{TO_SEND}packing-slips/?first=3",
        "admin-ship": f"{TO_SEND}{order.pk}/ship/",
        "admin-import": f"{TO_SEND}import/",
        "admin-parcels": "/admin/orders/shipment/",
    }


def session_of_staff() -> str:
    """The cookie of somebody who may do everything."""
    client = Client()
    client.force_login(User.objects.create_superuser("grace"))
    return client.cookies["sessionid"].value


def _spread_over_the_day() -> None:
    now = timezone.now()
    orders = list(Order.objects.order_by("id"))
    for number, order in enumerate(orders):
        # Few at night, many now.
        ago = timedelta(hours=23.5 * (1 - (number / ORDERS) ** 0.6))
        order.placed_at = now - ago
        order.status_changed_at = order.placed_at + timedelta(seconds=2)
    Order.objects.bulk_update(orders, ["placed_at", "status_changed_at"])
    changed = Order.objects.filter(pk=OuterRef("order")).values("status_changed_at")
    Payment.objects.update(settled_at=Subquery(changed))


def _eventful(shop: str, folder: Path) -> Order:
    ledger = folder / "ledger.jsonl"
    ledger.unlink(missing_ok=True)  # of an earlier run
    sandbox = SandboxServer(ledger_path=ledger)
    sandbox.start()
    gateway = StripeGateway(secret_key="sk_test_admin_pages", api_base=sandbox.url)
    try:
        shopper = Shopper(OverHttp(shop), somebody_else())
        return eventful_order(shopper, Till(sandbox.url, gateway), sku="PEN-FTN-M")
    finally:
        sandbox.stop()
