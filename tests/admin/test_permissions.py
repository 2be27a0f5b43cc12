"""Every page of the admin and every action, for everybody; and no page that writes when opened.
`make test` opens each page for one who sees it and for two who do not, `make test-long` for all."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.urls import URLPattern
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product, StockMovement
from checkout.orders.models import (
    Installation,
    Invoice,
    Order,
    Shipment,
    WebhookDelivery,
    WebhookEndpoint,
    Withdrawal,
)
from checkout.texts.models import ShopText
from payments.admin.actions import ACTIONS
from payments.gateways.bank_transfer.models import ExpectedTransfer, ReceivedTransfer
from payments.models import LostOrder, Payment, PaymentAttempt, Refund, WebhookEvent
from tests.admin.conftest import signed_in
from tests.support.drawing import without_drawing
from tests.support.factories import placed_order
from tests.support.long import at_length
from tests.support.rules import delivery_method, discount_code, tax_rate
from tests.support.sellers import SELLER
from tests.support.till import Till

GROUPS = ("read-only", "support", "operations", "Catalogue", "Warehouse")
WHO = ["anonymous", "customer", "staff without", *GROUPS, "superuser"]
OUTSIDE = ["anonymous", "customer"]
LOOKING = {"read-only", "support", "operations", "superuser"}

MAY = {
    "retry": {"support", "operations", "superuser"},
    "cancel": {"support", "operations", "superuser"},
    "put-back": {"operations", "superuser"},
    "resolve": {"operations", "superuser"},
    "correct-email": {"support", "operations", "superuser"},
    "send-mail": {"support", "operations", "superuser"},
    "seen-to": {"support", "operations", "superuser"},
    "cancel-paid": {"support", "operations", "superuser"},
    "return": {"support", "Warehouse", "superuser"},
    "refund-lines": {"support", "superuser"},
    "correct-address": {"support", "operations", "superuser"},
    "note": {"support", "operations", "Warehouse", "superuser"},
    "refund": {"support", "superuser"},
    "agree": {"support", "superuser"},
    "export": {"support", "operations", "superuser"},
    "resend": {"support", "operations", "superuser"},
    "restock": {"support", "operations", "superuser"},
    "stock": {"Catalogue", "superuser"},
    "lost": {"support", "operations", "superuser"},
    "give-up": {"support", "superuser"},
    "decide": {"support", "superuser"},
    "transfers": {"support", "superuser"},
    "ship": {"operations", "Warehouse", "superuser"},
    "undo": {"operations", "Warehouse", "superuser"},
}

# Ours to everybody who looks; Django's own pages to those whom Django lets.
OPEN_TO_STAFF = {"index", "password_change", "password_change_done", "jsi18n", "logout"}
OPEN_TO_ALL = {"login"}


@pytest.fixture
def everybody(staff_groups: None) -> dict[str, Client]:
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    return {
        "anonymous": Client(),
        "customer": signed_in("customer", is_staff=False),
        "staff without": signed_in("new"),
        **{name: signed_in(name, group=name) for name in GROUPS},
        "superuser": root,
    }


@pytest.fixture
def objects(shelf: list[Product], till: Till, settings: Settings) -> dict[str, int]:
    """One of each, by the name of its model."""
    settings.SELLER = SELLER
    order = placed_order(shelf[0])
    till.settle(order)
    payment = Payment.objects.get()
    refund = payment.refunds.create(
        status="prepared", amount_minor=1, reason="Surplus", created_at=timezone.now()
    )
    event = WebhookEvent.objects.create(event_id="evt_1", kind="x", received_at=timezone.now())
    endpoint = WebhookEndpoint.objects.create(url="https://erp.example/hooks")
    delivery = WebhookDelivery.objects.create(
        order=order,
        event=order.events.latest("id"),
        endpoint=endpoint,
        kind="order.paid",
        status="paid",
        refunded_minor=0,
        wanted_since=timezone.now(),
        available_at=timezone.now(),
        sent_at=timezone.now(),
    )
    parcel = Shipment.objects.create(
        order=order,
        key="parcel",
        event=order.events.latest("id"),
        sent_by="clerk",
        sent_at=timezone.now(),
    )
    return {
        "withdrawal": Withdrawal.objects.create(
            order=order, key="k", number=order.number, email=order.email, taken_up_at=timezone.now()
        ).pk,
        "shipment": parcel.pk,
        "ordertosend": order.pk,
        "webhookendpoint": endpoint.pk,
        "webhookdelivery": delivery.pk,
        "order": order.pk,
        "line": order.lines.get().pk,
        "payment": payment.pk,
        "refund": refund.pk,
        "webhookevent": event.pk,
        "lostorder": LostOrder.objects.create(
            reference="r", gateway_payment_id="pi_lost", found_at=timezone.now()
        ).pk,
        "invoice": Invoice.objects.get().pk,
        **transfers(order),
        "installation": Installation.objects.get().pk,
        "product": shelf[0].pk,
        "stockmovement": order.stock_movements.get().pk,
        "taxrate": tax_rate("DE", "19").pk,
        "deliverymethod": delivery_method("Parcel", {"DE": 490}).pk,
        "discountcode": discount_code("WELCOME").pk,
        "shoptext": ShopText.objects.create(kind="terms", language="en", title="x", body="x").pk,
        "group": Group.objects.get(name="support").pk,
        "user": User.objects.create_user("somebody").pk,
    }


def transfers(order: Order) -> dict[str, int]:
    """Money that nobody knows the order of, and money that is to be sent back."""
    now = timezone.now()
    expected = ExpectedTransfer.objects.create(
        payment_id="bank-1", key="k", amount_minor=1, currency="EUR", opened_at=now
    )
    received = ReceivedTransfer.objects.create(
        bank_reference="B-1",
        booked_on=now.date(),
        amount_minor=1,
        currency="EUR",
        recorded_at=now,
        recorded_by="clerk",
    )
    returned = expected.returned.create(key="k", amount_minor=1, asked_at=now)
    return {"receivedtransfer": received.pk, "returnedtransfer": returned.pk}


OBJECTS = (
    *("object_id", "order_id", "payment_id", "refund_id"),
    *("delivery_id", "product_id", "lost_id", "withdrawal_id", "shipment_id"),
    *("received_id", "returned_id"),
)


def addresses(objects: dict[str, int]) -> dict[str, str]:
    """The name of every admin page → where it is, with an object that is there."""
    found: dict[str, str] = {}
    for model, model_admin in admin.site._registry.items():
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        number = objects.get(model._meta.model_name or "", 1)
        for pattern in model_admin.get_urls():
            route = str(pattern.pattern)
            for each in ACTIONS if "<slug:name>" in route else [""]:
                address = base + route.replace("<slug:name>", each)
                for part in (*OBJECTS, "id"):
                    for kind in ("path", "int", "str"):
                        address = address.replace(f"<{kind}:{part}>", str(number))
                found[f"{pattern.name or name + '_bare'}{each and ':' + each}"] = address
    for page in admin.site.get_urls():
        if isinstance(page, URLPattern) and page.name and "<" not in str(page.pattern):
            found[page.name] = f"/admin/{page.pattern}"
    return found


def may_open(who: str, name: str) -> bool:
    """By our rule: whom a page of ours is for."""
    if name.startswith("orders_order_act:"):
        return who in MAY[name.partition(":")[2]]
    special = {
        "orders_order_export": MAY["export"],
        "orders_order_export_lines": MAY["export"],
        "orders_invoice_export": MAY["export"],
        "payments_payment_refund": MAY["refund"],
        "payments_payment_refund_lines": MAY["refund-lines"],
        "payments_refund_agree": MAY["agree"],
        **dict.fromkeys(TRANSFER_PAGES, MAY["transfers"]),
        "payments_lostorder_seen": MAY["lost"],
        "payments_lostorder_give_up": MAY["give-up"],
        "orders_withdrawal_decide": MAY["decide"],
        "orders_webhookdelivery_resend": MAY["resend"],
        "dashboard": LOOKING | {"Warehouse"},
        "catalogue_product_stock": MAY["stock"],
        "orders_shipment_undo": MAY["undo"],
        **dict.fromkeys(WAREHOUSE_PAGES, MAY["ship"]),
        **dict.fromkeys(MOVEMENT_PAGES, LOOKING | {"Catalogue"}),
    }
    shown_to_it = ("orders_order_", "orders_withdrawal_", "orders_shipment_")
    sees_orders = {"Warehouse"} if name.startswith(shown_to_it) else set()
    return who in special.get(name, LOOKING | sees_orders)


TRANSFER_PAGES = [f"bank_transfer_{page}" for page in ("record", "assign", "aside", "sent")]
WAREHOUSE_PAGES = [
    f"orders_ordertosend_{page}"
    for page in ("changelist", "pick_list", "packing_slips", "import", "ship")
]
MOVEMENT_PAGES = [f"catalogue_stockmovement_{page}" for page in ("changelist", "change", "history")]

OURS = (
    *("catalogue_stockmovement", "catalogue_product_stock"),
    *("orders_order", "orders_webhookendpoint", "orders_webhookdelivery", "dashboard"),
    "orders_withdrawal",
    *("payments_payment", "payments_refund", "payments_webhookevent", "bank_transfer"),
    *("payments_lostorder", "orders_installation", "orders_invoice", "orders_shipment"),
)
WRITING = ("_add", "_delete")


def is_open(client: Client, address: str) -> bool:
    return client.get(address).status_code == 200


class Writes(Exception):
    pass


def no_writes(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    if sql.split(None, 1)[0].upper() not in {"SELECT", "SAVEPOINT", "RELEASE", "DECLARE"}:
        raise Writes(sql)
    return execute(sql, params, many, context)


def expected_of(name: str) -> dict[str, bool]:
    """Our rule says of each who sees this page and who does not. Django's own permissions for its
    own pages are left out."""
    if name.startswith(OURS):
        return {who: not name.endswith(WRITING) and may_open(who, name) for who in WHO}
    if name in OPEN_TO_STAFF:
        return {who: who not in OUTSIDE for who in WHO}
    return dict.fromkeys([*OUTSIDE, "staff without"], False)


def one_of_each(number: int, expected: dict[str, bool]) -> list[str]:
    """One who sees this page, one of the staff who does not, and one who comes from outside: where
    there are several, another one for the next page."""
    sees = [who for who, may in expected.items() if may and who != "superuser"]
    refused = [who for who, may in expected.items() if not may]
    staff = [who for who in refused if who not in OUTSIDE]
    outside = [who for who in refused if who in OUTSIDE]
    some = [
        group[number % len(group)] for group in (sees or ["superuser"], staff, outside) if group
    ]
    return list(dict.fromkeys(some))


@pytest.mark.parametrize("whoever", ["one of each", *at_length("everybody")])
def test_every_page_is_open_to_whom_it_is_for_and_writes_nothing(
    everybody: dict[str, Client], objects: dict[str, int], whoever: str
) -> None:
    pages = addresses(objects)
    assert len(pages) > 40, "the walk found too little"
    wrong = []
    for number, (name, address) in enumerate(pages.items()):
        if name in OPEN_TO_ALL or name == "logout" or name.endswith("_bare"):
            continue
        expected = expected_of(name)
        some = one_of_each(number, expected) if whoever == "one of each" else WHO
        is_drawn = False
        for who in some:
            with (
                connection.execute_wrapper(no_writes),
                without_drawing() if is_drawn else nullcontext(),
            ):
                opened = is_open(everybody[who], address)
            is_drawn = is_drawn or opened
            if who in expected and opened is not expected[who]:
                wrong.append(f"{name} for {who}: {'open' if opened else 'closed'}")

    assert wrong == []


@pytest.mark.parametrize(
    "name",
    [
        *(*ACTIONS, "refund", "refund-lines", "agree", "resend", "stock", "lost", "decide"),
        "give-up",
        *("ship", "undo", "transfers"),
    ],
)
def test_action_is_done_for_those_who_may_and_for_nobody_else(
    everybody: dict[str, Client], objects: dict[str, int], name: str
) -> None:
    pages = {
        "refund": f"/admin/payments/payment/{objects['payment']}/refund/",
        "refund-lines": f"/admin/payments/payment/{objects['payment']}/refund-lines/",
        "ship": f"/admin/orders/ordertosend/{objects['order']}/ship/",
        "undo": f"/admin/orders/shipment/{objects['shipment']}/undo/",
        "agree": f"/admin/payments/refund/{objects['refund']}/agree/",
        "transfers": f"/admin/bank_transfer/receivedtransfer/{objects['receivedtransfer']}/aside/",
        "decide": f"/admin/orders/withdrawal/{objects['withdrawal']}/decide/",
        "lost": f"/admin/payments/lostorder/{objects['lostorder']}/seen/",
        "give-up": f"/admin/payments/lostorder/{objects['lostorder']}/give-up/",
        "stock": f"/admin/catalogue/product/{objects['product']}/stock/",
        "resend": f"/admin/orders/webhookdelivery/{objects['webhookdelivery']}/resend/",
    }
    address = pages.get(name, f"/admin/orders/order/{objects['order']}/{name}/")
    typed = {"why": "They asked for it", "amount": "1.00", "reason": "Torn", "key": "k" * 32}
    typed |= {"became": "not_charged", f"pieces_{objects['line']}": "1", "of_delivery": "0"}
    typed |= {"decision": "refuse", "kind": "received", "number": "1", "seen": "1"}

    before = counted()
    for who, client in everybody.items():
        if who not in MAY[name]:
            assert client.post(address, typed).status_code in {302, 403}, who
    assert counted() == before
    for who, client in everybody.items():
        if who in MAY[name]:
            assert client.post(address, typed).status_code in {200, 302}, who


def counted() -> tuple[Any, ...]:
    order = Order.objects.get()
    return (
        order.events.count(),
        list(order.outbox_messages.values_list("pk", "generation")),
        list(Refund.objects.values_list("pk", "status")),
        PaymentAttempt.objects.count(),
        list(WebhookDelivery.objects.values_list("pk", "sent_at", "available_at")),
        order.status,
        StockMovement.objects.count(),
        list(LostOrder.objects.values_list("seen_to_at", "agreed_at")),
        list(Withdrawal.objects.values_list("status")),
        list(Shipment.objects.values_list("pk", "undone_at")),
    )


def test_no_action_can_be_done_from_a_list(everybody: dict[str, Client]) -> None:
    """Django's own list action, deleting, is offered to nobody for what is ours."""
    ours = ["orders/withdrawal", "orders/order", "orders/webhookendpoint", "orders/webhookdelivery"]
    ours += [
        "payments/payment",
        "payments/refund",
        "payments/webhookevent",
        "payments/lostorder",
        "orders/installation",
        "catalogue/stockmovement",
        "orders/ordertosend",
        "orders/shipment",
    ]
    for path in ours:
        page = everybody["superuser"].get(f"/admin/{path}/").content.decode()
        assert "delete_selected" not in page
