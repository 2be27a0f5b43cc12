"""The demo's purchase: one form is sent five times and makes one order and one charge."""

import re
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus

import requests
from django.db import close_old_connections

from checkout.catalogue.models import Product
from checkout.catalogue.money import show_money
from checkout.orders.links import link_path
from checkout.orders.models import Order
from checkout.orders.money.parts import Parts
from checkout.orders.states import UNSETTLED
from checkout.orders.ways_to_pay.web_side import web_side

SUBMITS = 5

# The demo buys only where so many are left, so that visitors find the last pieces.
PLENTY = 10

SETTLED_WITHIN_SECONDS = 60

TYPED = {
    "full_name": "Ada Quillfeather",
    "address": "12 Inkwell Lane",
    "city": "Cork",
    "postcode": "T12 ABC1",
    "country": "IE",
}


class PromiseBroken(Exception):
    """Five submits of one form were not one order and one charge."""


@dataclass(frozen=True)
class Answer:
    when: str
    status: int
    location: str
    pressed_at: float  # in seconds since 1970, as the next
    came_at: float


def product_with_plenty() -> Product | None:
    plenty = Product.objects.filter(is_on_sale=True, stock__gte=PLENTY)
    return plenty.order_by("-stock", "sku").first()


def buy(shop: str, sandbox: str, product: Product) -> Iterator[str]:
    yield f"The first purchase: {product.name}, {show_money(product.price)}, sent {SUBMITS} times"
    email = f"ada-{secrets.token_hex(4)}@example.com"
    browser, form = _open_checkout(shop, product)
    form["email"] = email
    addresses = set()
    began = 0.0
    for number, answer in enumerate(_submit_five_times(shop, browser, form), 1):
        began = began or answer.pressed_at
        yield (
            f"  {number}  {answer.when:<17} {answer.status} to {answer.location}  "
            f"from {answer.pressed_at - began:.2f} to {answer.came_at - began:.2f} s"
        )
        addresses.add((answer.status, answer.location))
    order = _the_one_order(email)
    if addresses != {(HTTPStatus.SEE_OTHER, f"/orders/{order.reference}/")}:
        raise PromiseBroken(f"Not every answer leads to the order {order.number}")
    yield ""
    yield f"One order: {order.number}, {show_money(order.total)}, {order.get_status_display()}"
    yield from _parts(order)
    absorbed = order.resubmission_count
    yield f"{absorbed} of the {SUBMITS} presses found it there already, and changed nothing."
    yield "Its history, in seconds since the first press:"
    yield from _what_happened(order, began)
    yield ""
    charges = [charge for charge in _ledger(sandbox) if charge["order"] == order.number]
    if len(charges) != 1 or charges[0]["amount"] != order.total_minor:
        raise PromiseBroken(f"The gateway's ledger shows {len(charges)} charges: {charges}")
    yield f"One charge in the gateway's ledger: {show_money(order.total)} for {order.number}"
    yield ""
    yield f"Its page, by the link in its mail: {shop}{link_path(order)}"


def _parts(order: Order) -> Iterator[str]:
    """What the total is made of, in the words of page and mail."""
    parts = Parts.of_order(order)
    above, below = parts.rows_above, parts.rows_below
    if not above and not below:
        return
    rows = [(row.label, row.amount) for row in above]
    rows += [("Total", parts.total), *((row.label, row.amount) for row in below)]
    width = max(len(label) for label, _ in rows)
    for label, amount in rows:
        yield f"  {label:<{width}}  {show_money(amount):>10}"


def _open_checkout(shop: str, product: Product) -> tuple[requests.Session, dict[str, str]]:
    browser = requests.Session()
    browser.get(f"{shop}/products/{product.slug}/", timeout=30).raise_for_status()
    csrf = {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}
    cart = csrf | {"sku": product.sku, "quantity": "1"}
    browser.post(f"{shop}/cart/add/", data=cart, timeout=30).raise_for_status()
    token = _token(browser.get(f"{shop}/checkout/", timeout=30))
    form = csrf | TYPED | {"payment_method": web_side().example_method, "token": token}
    # The page's first total is for the shop's country, and this parcel goes to another one.
    update = form | {"update_total": "1"}
    return browser, form | {"token": _token(browser.post(f"{shop}/checkout/", update, timeout=30))}


def _token(page: requests.Response) -> str:
    page.raise_for_status()
    token = re.search(r'name="token" value="([^"]+)"', page.text)
    if token is None:
        raise PromiseBroken("The checkout page carries no token")
    return token[1]


def _submit_five_times(
    shop: str, browser: requests.Session, form: dict[str, str]
) -> Iterator[Answer]:
    def submit(when: str) -> Answer:
        pressed_at = time.time()
        reply = requests.post(
            f"{shop}/checkout/",
            data=form,
            cookies=browser.cookies,
            timeout=60,
            allow_redirects=False,
        )
        location = reply.headers.get("Location", "no other page")
        return Answer(when, reply.status_code, location, pressed_at, time.time())

    with ThreadPoolExecutor(2) as both:
        yield from both.map(submit, ["two at once", "two at once"])
    for when in ("pressed again", "again, after Back", "and once more"):
        yield submit(when)


def _the_one_order(email: str) -> Order:
    deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
    while True:
        close_old_connections()
        placed = list(Order.objects.filter(email=email))
        if len(placed) != 1:
            raise PromiseBroken(f"{SUBMITS} submits of one form made {len(placed)} orders")
        if placed[0].status not in UNSETTLED:
            return placed[0]
        if time.monotonic() > deadline:
            raise PromiseBroken(
                f"The order is still {placed[0].status} after {SETTLED_WITHIN_SECONDS} s"
            )
        time.sleep(0.1)


def _what_happened(order: Order, began: float) -> Iterator[str]:
    """Events are sorted, as a press that lost to another may have read the clock before the order
    was placed."""
    times = [
        (max(event.created_at, order.placed_at), event.reason)
        for event in order.events.order_by("id")
    ]
    for at, reason in sorted(times, key=lambda row: row[0]):
        yield f"  {at:%H:%M:%S}  {at.timestamp() - began:5.2f} s  {reason}"


def _ledger(sandbox: str) -> list[dict[str, object]]:
    reply = requests.get(f"{sandbox}/sandbox/ledger", timeout=30)
    charges: list[dict[str, object]] = reply.json()["charges"]
    return charges
