"""`python -m tests.tools.bench.admin`: the admin's pages with a short and with a long past.

Starts a private Postgres, loads 10,000 orders and then 1,000,000, and prints for each page how many
statements it runs and its median time, as a ratio of the long past to the short one.
"""

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import django

from config.local.postgres import EmbeddedPostgres

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / ".local" / "bench-admin"

# The bar: a page may take so many times as long with the long past.
AT_MOST = 3.0

ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "DEMO_DIR": str(FOLDER),
    "SECRET_KEY": "for-benchmarks-only-" * 3,
    "ALLOWED_HOSTS": "testserver",
    "DEBUG": "false",
    "HTTPS_ONLY": "false",
    "SANDBOX_GATEWAY_ALLOWED": "true",
    "STRIPE_API_BASE": "http://127.0.0.1:9",
    "STAFF_SECOND_FACTOR": "false",
    "SIGN_IN_LOCKOUT": "false",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "LOG_LEVEL": "ERROR",
}


# What the lists show beside the orders themselves: one invoice for each that was paid, and a
# withdrawal for one in fifty.
BESIDE = [
    """
    INSERT INTO orders_invoice (
        order_id, kind, series, year, sequence, number, issued_at, content, total_minor, currency,
        event_id
    )
    SELECT o.id, 'invoice', 'R', 2026, e.id, 'R-2026-' || lpad(e.id::text, 9, '0'), e.created_at,
        '{}', o.total_minor, o.currency, e.id
    FROM orders_order AS o JOIN orders_orderevent AS e ON e.order_id = o.id
    WHERE e.to_status = 'paid' ORDER BY e.id
    """,
    """
    INSERT INTO orders_withdrawal (
        order_id, key, number, full_name, email, about, language, stated_at, taken_up_at, status,
        decided_at, decided_by
    )
    SELECT id, 'w' || id, number, full_name, email, '', '', placed_at, placed_at,
        CASE WHEN id % 5000 = 0 THEN 'stated' ELSE 'agreed' END, placed_at, 'grace'
    FROM orders_order WHERE id % 50 = 0 AND status = 'paid' ORDER BY id
    """,
]


@dataclass(frozen=True)
class Measured:
    page: str
    orders: int
    statements: int
    milliseconds: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.bench.admin", description=__doc__)
    parser.add_argument("--short", type=int, default=10_000, help="Orders of the short past.")
    parser.add_argument("--long", type=int, default=1_000_000, help="Orders of the long past.")
    parser.add_argument("--rounds", type=int, default=15, help="Each page is opened so often.")
    parser.add_argument("--json", action="store_true", help="Print the result as JSON.")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    postgres = EmbeddedPostgres(FOLDER / "postgres", durable=False)
    os.environ |= ENVIRONMENT | {"DATABASE_URL": postgres.start()}
    try:
        django.setup()
        results = [
            measured
            for orders in (options.short, options.long)
            for measured in _measure(orders, options.rounds)
        ]
    finally:
        postgres.stop()
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
    else:
        _print_table(results, options.short, options.long)
    sys.exit(0 if _is_flat(results) else 1)


def _measure(orders: int, rounds: int) -> list[Measured]:
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from tests.tools.bench.history import load, shown

    call_command("migrate", verbosity=0)
    call_command("flush", verbosity=0, interactive=False)
    call_command("load_demo_catalogue", verbosity=0)
    load(orders, progress=shown(orders))
    with connection.cursor() as cursor:
        for each in BESIDE:
            cursor.execute(each)
        cursor.execute("ANALYZE orders_invoice, orders_withdrawal")
    client = Client()
    client.force_login(User.objects.create_superuser("bench"))
    results = []
    for name, address in _pages().items():
        _open(client, address)  # Django and Postgres get warm
        with CaptureQueriesContext(connection) as captured:
            _open(client, address)
        statements = len(captured)
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            _open(client, address)
            times.append((time.perf_counter() - began) * 1000)
        results.append(Measured(name, orders, statements, statistics.median(times)))
    return results


def _open(client: "django.test.Client", address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)


def _pages() -> dict[str, str]:
    from checkout.orders.models import Order, OrderToSend, Shipment
    from payments.models import Payment

    order = Order.objects.filter(status="paid").order_by("id")[100]
    payment = Payment.objects.get(order=order)
    parcel = Shipment.objects.get(order=order)
    unsent = OrderToSend.objects.filter(dispatch_status="unsent", status="paid").latest("id")
    orders, to_send = "/admin/orders/order/", "/admin/orders/ordertosend/"
    return {
        "list": orders,
        "last page of the list": f"{orders}?p=40",
        "filter: cancelled": f"{orders}?status__exact=cancelled",
        "filter: a state without orders": f"{orders}?status__exact=refunded",
        "filter: waiting too long": f"{orders}?attention=waiting",
        "filter: needs a person": f"{orders}?attention=person",
        "filter: paid late": f"{orders}?attention=late",
        "search: number": f"{orders}?q={order.number}",
        "search: e-mail": f"{orders}?q=customer7@example.com",
        "search: gateway id": f"{orders}?q={payment.gateway_payment_id}",
        "search: nothing found": f"{orders}?q=nobody@example.com",
        "story": f"{orders}{order.pk}/change/",
        "payments": "/admin/payments/payment/",
        "dashboard": "/admin/dashboard/",
        "admin's first page": "/admin/",
        "to send": to_send,
        "to send: last page": f"{to_send}?p=4",
        "to send: by delivery": f"{to_send}?delivery_name=Letter",
        "to send: by country": f"{to_send}?country=IE",
        "to send: number": f"{to_send}?q={unsent.number}",
        "pick list of 200": f"{to_send}pick-list/?first=200",
        "packing slips of 200": f"{to_send}packing-slips/?first=200",
        "ship page": f"{to_send}{unsent.pk}/ship/",
        "parcels": "/admin/orders/shipment/",
        "parcels: tracking number": f"/admin/orders/shipment/?q={parcel.tracking_number}",
        "parcels: order number": f"/admin/orders/shipment/?q={order.number}",
        "withdrawals": "/admin/orders/withdrawal/",
        "withdrawals: all": "/admin/orders/withdrawal/?state=all",
        "invoices": "/admin/orders/invoice/",
        "invoices: last page": "/admin/orders/invoice/?p=40",
        "invoices: order number": f"/admin/orders/invoice/?q={order.number}",
    }


def _pairs(results: list[Measured]) -> list[tuple[Measured, Measured]]:
    half = len(results) // 2
    return list(zip(results[:half], results[half:], strict=True))


def _is_flat(results: list[Measured]) -> bool:
    return all(
        long.milliseconds <= AT_MOST * short.milliseconds and long.statements == short.statements
        for short, long in _pairs(results)
    )


def _print_table(results: list[Measured], short: int, long: int) -> None:
    print(f"{'page':32}{'statements':>11}{short:>11,}{long:>13,}   ratio")
    for before, after in _pairs(results):
        told = f"{before.statements}" if before.statements == after.statements else "differ"
        times = f"{before.milliseconds:>8.1f} ms{after.milliseconds:>10.1f} ms"
        ratio = after.milliseconds / before.milliseconds
        print(f"{before.page:32}{told:>11}{times}{ratio:>8.2f}")
    verdict = "Flat" if _is_flat(results) else "NOT FLAT"
    print(f"{verdict}: every page the same statements, and at most {AT_MOST:g} times as long.")


if __name__ == "__main__":
    main()
