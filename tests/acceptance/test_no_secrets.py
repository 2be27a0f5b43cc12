"""No card number, key, token, name or address is found where it does not belong."""

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from checkout.orders.queue.sqs import PaymentsQueue
from tests.support.processes import ShopProcesses, eventually
from tests.support.shopper import OverHttp, Shopper

CARD = "4000056655665556"
KEY = "sk_test_Canary51KeyThatNobodyMaySee"
WEBHOOK_SECRET = "whsec_CanaryThatNobodyMaySee"
PERSON = {
    "email": "xenia.canary@example.com",
    "full_name": "Xenia Zwitscher-Canary",
    "address": "17 Birdcage Walk Canary",
    "city": "Canaryville",
    "postcode": "CNRY 99",
    "country": "IE",
}
SECRETS = [CARD, KEY, WEBHOOK_SECRET]

# Where the shop keeps what it needs to deliver, what its gateway is told of that, and nowhere else.
THEIR_PLACE = {
    ("orders_order", column) for column in ("email", "full_name", "address", "city", "postcode")
} | {("payments_payment", "details")}

METHODS = [
    "pm_card_visa",
    "pm_card_chargeDeclined",
    "pm_sandbox_error_after_charge",
    "pm_sandbox_unavailable",
    "pm_card_authenticationRequired",
    "pm_nobody_issued_this",
]


@pytest.fixture
def shopper(processes: ShopProcesses) -> Shopper:
    settings = {"STRIPE_SECRET_KEY": KEY, "STRIPE_WEBHOOK_SECRETS": WEBHOOK_SECRET}
    settings |= {"LOG_LEVEL": "DEBUG", "SHOP_URL": "http://shop.example"}
    web = processes.web(**settings)
    processes.publisher(**settings)
    processes.worker(**settings)
    return Shopper(OverHttp(web.url), typed=PERSON | {"payment_method": ""})


def provoke(shopper: Shopper) -> list[str]:
    """Everything that can go wrong, one after the other; the pages that others could see."""
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    pages = [shopper.submit(form | {"payment_method": CARD}).text]
    pages.append(shopper.submit(form | {"payment_method": f"pm_card_visa {CARD}"}).text)
    pages.append(shopper.web.post("/checkout/", {"token": form["token"], "full_name": CARD}).text)
    pages.append(shopper.web.post("/payments/webhooks/stripe/", {"card": CARD}).text)
    pages.append(shopper.web.get(f"/orders/{'A' * 22}/").text)
    pages.append(shopper.web.get(f"/nowhere/{CARD}/").text)
    stranger = Shopper(OverHttp(shopper.web.base_url), typed=dict(shopper.typed))  # type: ignore[attr-defined] # OverHttp
    pages.append(stranger.submit(form | {"payment_method": "pm_card_visa"}).text)
    return pages


def texts_of_tables() -> list[tuple[str, str, str]]:
    """(table, column, everything in it), of every column that can hold text."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT table_name, column_name FROM information_schema.columns
               WHERE table_schema = 'public'
                 AND data_type IN ('text', 'character varying', 'jsonb', 'json')"""
        )
        columns = cursor.fetchall()
        found = []
        for table, column in columns:
            cursor.execute(
                f"SELECT coalesce(string_agg(\"{column}\"::text, E'\\n'), '') FROM \"{table}\""
            )
            found.append((table, column, cursor.fetchone()[0]))
    return found


def leaks(text: str, *, people: bool = True) -> list[str]:
    canaries = [*SECRETS, "_secret_", *(PERSON.values() if people else ())]
    return [canary for canary in canaries if canary != "IE" and canary in text]


def test_nothing_secret_or_personal_is_found_where_it_does_not_belong(
    shopper: Shopper,
    processes: ShopProcesses,
    shelf: list[Product],
    queue: PaymentsQueue,
    settings: Settings,
) -> None:
    pages = provoke(shopper)
    tokens = []
    for method in METHODS:
        shopper.typed["payment_method"] = method
        shopper.add_to_cart("SKU-02")
        form = shopper.open_checkout()
        tokens.append(form["token"])
        shopper.submit(form)
        shopper.submit(form | {"address": "changed"})
    settled = {"paid", "payment_failed", "action_required"}
    eventually(lambda: set(Order.objects.values_list("status", flat=True)) <= settled, seconds=60)
    references = list(Order.objects.values_list("reference", flat=True))
    processes.stop()

    logs = processes.said()
    assert logs.count("Message handled") >= len(METHODS)
    assert [line for line in logs.splitlines() if leaks(line)] == []
    assert [token for token in tokens if token in logs] == []
    assert [reference for reference in references if reference in logs] == []
    for page in pages:
        assert leaks(page, people=False) == [], page
    checked = 0
    for table, column, text in texts_of_tables():
        is_theirs = (table, column) in THEIR_PLACE
        assert leaks(text, people=not is_theirs) == [], f"{table}.{column}"
        assert not [token for token in tokens if token in text], f"{table}.{column}"
        checked += 1
    assert checked > 50
