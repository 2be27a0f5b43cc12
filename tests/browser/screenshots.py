"""`make screenshots`: a picture of every page, desktop and phone, light and dark.

With `--accessibility` each of them is checked by axe-core instead, and what it finds is printed.

Starts a private Postgres and one web process. Nothing is paid: orders are moved by hand, and pages
for failures are rendered here and shown under the shop's address.
"""

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal
from urllib.request import urlopen

import django
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from config.local.postgres import EmbeddedPostgres
from config.local.processes import Child, free_port, stop, wait_until

if TYPE_CHECKING:
    from django.http import HttpResponse

    from checkout.catalogue.models import Product
    from checkout.orders.models import Order

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / ".local" / "screenshots"
SHOP = ROOT / ".local" / "screenshots-shop"

# A busy machine takes some minutes; whatever hangs is given up after this.
AT_MOST_SECONDS = 900
START_SECONDS = 60.0

# `npm ci` in that folder, which `make test` does, brings it.
AXE = Path(__file__).parent / "axe" / "node_modules" / "axe-core" / "axe.min.js"
# WCAG 2.2, levels A and AA, as axe-core names them ("API", Axe-core Tags).
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
STEP_MS = 30_000

Scheme = Literal["light", "dark"]
WIDTHS = {"desktop": 1280, "phone": 360}
SCHEMES: list[Scheme] = ["light", "dark"]

ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "DJANGO_ALLOW_ASYNC_UNSAFE": "true",  # Playwright's loop runs in this thread; nothing awaits
    "DEMO_DIR": str(SHOP),  # no running demo has a say
    "SECRET_KEY": "for-screenshots-only-" * 3,
    "ALLOWED_HOSTS": "127.0.0.1",
    "SHOP_NAME": "Halfmoon Stationers",
    "DEBUG": "false",
    "HTTPS_ONLY": "false",
    "SANDBOX_GATEWAY_ALLOWED": "true",
    "STAFF_SECOND_FACTOR": "false",
    "EMAIL_URL": "dummymail://",
    "SHOP_URL": "https://shop.example",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # nobody listens there, and nobody asks
    "NO_PROXY": "*",
}

ADDRESS = {
    "email": "ada@example.com",
    "full_name": "Ada Quillfeather",
    "address": "12 Inkwell Lane",
    "postcode": "T12 ABC1",
    "city": "Cork",
}
PASSWORD = "quill and parchment"
ORDERS_OF_AN_ACCOUNT = 9  # one in each status, and two that were sent or cancelled
TEXTS = ["imprint", "terms", "privacy", "withdrawal"]
CART = ["fountain-pen-medium-nib", "dotted-notebook-a5"]


def unprepared(page: Page) -> None:
    """Nothing to do before the picture."""


@dataclass(frozen=True)
class Shot:
    name: str
    path: str
    prepare: Callable[[Page], object] = unprepared
    failure: "HttpResponse | None" = None  # shown instead of what the shop answers


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots")
    parser.add_argument(
        "--accessibility", action="store_true", help="check each page instead of picturing it"
    )
    options = parser.parse_args()
    look = _check if options.accessibility else _picture
    variants = [(device, scheme) for device in WIDTHS for scheme in SCHEMES]
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(AT_MOST_SECONDS)
    if look is _picture:
        shutil.rmtree(PICTURES, ignore_errors=True)
        PICTURES.mkdir(parents=True)
    looked, found = 0, 0
    with _shop() as url, sync_playwright() as playwright:
        from tests.browser.conftest import ARGUMENTS, chromium_path

        browser = playwright.chromium.launch(
            executable_path=chromium_path(playwright), args=ARGUMENTS
        )
        # The admin's pages are Django's in most of what axe-core looks at: pictured alone.
        admin_shots, staff = _admin(url) if look is _picture else ([], "")
        orders = list(_orders(browser, url))
        shots = [*_shelves(), *_checkout(), *orders, *_failures(), *_account()]
        for device, scheme in variants:
            context = _context(browser, url, WIDTHS[device], scheme)
            _fill_cart(context.pages[0])
            for shot in shots:
                found += _visit(context, shot, f"{shot.name}-{device}-{scheme}", look)
                looked += 1
            for shot in admin_shots:
                _sign_in_as_staff(context, url, staff)
                found += _visit(context, shot, f"{shot.name}-{device}-{scheme}", look)
                looked += 1
            context.close()
        german = _german(browser, url)
        for shot in [*shots, Shot("checkout", "/checkout/")]:
            if shot.prepare is unprepared and not shot.failure:
                found += _visit(german, shot, f"{shot.name}-german", look)
                looked += 1
        empty = _context(browser, url, WIDTHS["phone"], "light")
        found += _visit(empty, Shot("", "/cart/"), "cart-empty", look)
        browser.close()
    if look is _picture:
        print(f"{looked + 1} pictures in {PICTURES.relative_to(ROOT)}/")
        return
    print(f"{looked + 1} pages checked, {found} violations found")
    sys.exit(1 if found or not looked else 0)


@contextmanager
def _shop() -> Iterator[str]:
    postgres = EmbeddedPostgres(SHOP / "postgres", durable=False)
    port = free_port()
    web = Child(
        name="web",
        command=[
            *[sys.executable, "-m", "gunicorn", "config.wsgi", f"--bind=127.0.0.1:{port}"],
            *["--worker-class=gthread", "--threads=4", "--no-control-socket"],
        ],
        log=SHOP / "web.log",
        directory=ROOT,
    )
    os.environ |= ENVIRONMENT | {"DATABASE_URL": postgres.start()}
    try:
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        call_command("flush", verbosity=0, interactive=False)  # what an earlier run has left
        call_command("load_demo_catalogue", verbosity=0)
        web.start()
        url = f"http://127.0.0.1:{port}"
        if not wait_until(lambda: _answers(url), seconds=START_SECONDS):
            sys.exit(f"The shop does not answer. Its log is {web.log}.")
        yield url
    finally:
        stop([web], seconds=5)
        postgres.stop()


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/readyz", timeout=5):
            return True
    except OSError:
        return False


def _german(browser: Browser, url: str) -> BrowserContext:
    """With a cart that was filled in English, for its buttons are found by their words."""
    english = _context(browser, url, WIDTHS["phone"], "light")
    _fill_cart(english.pages[0])
    kept = english.storage_state()
    english.close()
    return _context(browser, url, WIDTHS["phone"], "light", locale="de-DE", storage_state=kept)


def _context(
    browser: Browser, url: str, width: int, scheme: Scheme, locale: str = "en-IE", **more: Any
) -> BrowserContext:
    context = browser.new_context(
        locale=locale,
        **more,
        base_url=url,
        viewport={"width": width, "height": 800},
        color_scheme=scheme,
        reduced_motion="reduce",
        device_scale_factor=2 if width < 600 else 1,
        timezone_id="Europe/Dublin",
    )
    context.set_default_timeout(STEP_MS)
    context.new_page()
    return context


def _visit(context: BrowserContext, shot: Shot, name: str, look: Callable[[Page, str], int]) -> int:
    page = context.new_page()
    if failure := shot.failure:
        status, body = failure.status_code, failure.content
        page.route(
            f"**{shot.path}",
            lambda route: route.fulfill(status=status, body=body, content_type="text/html"),
        )
    page.goto(shot.path)
    shot.prepare(page)
    # Pictures further down are fetched when they come near.
    page.evaluate("() => document.querySelectorAll('img').forEach(i => { i.loading = 'eager' })")
    page.wait_for_function("() => [...document.images].every(image => image.complete)")
    page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0) }")
    found = look(page, name)
    page.close()
    return found


def _picture(page: Page, name: str) -> int:
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
    return 0


def violations_of(page: Page, name: str) -> list[str]:
    """What axe-core finds on this page, a line each."""
    page.evaluate(AXE.read_text())
    violations = page.evaluate(
        "tags => axe.run({ runOnly: tags }).then(answer => answer.violations)", TAGS
    )
    return [
        f"{name}: {violation['id']}: {violation['help']}: "
        + ", ".join(str(node["target"]) for node in violation["nodes"])
        for violation in violations
    ]


def _check(page: Page, name: str) -> int:
    violations = violations_of(page, name)
    for violation in violations:
        print(violation)
    return len(violations)


def _fill_cart(page: Page) -> None:
    for slug in CART:
        page.goto(f"/products/{slug}/")
        page.get_by_role("button", name="Add to cart").click()
        page.wait_for_url("**/cart/")


def _type(page: Page, email: str = ADDRESS["email"]) -> None:
    for name, value in (ADDRESS | {"email": email}).items():
        page.locator(f"[name={name}]").fill(value)
    page.locator("[name=country]").select_option("IE")


def _press_with_mistakes(page: Page) -> None:
    _type(page)
    page.locator("[name=email]").fill("ada@example")
    page.locator("[name=postcode]").fill("12")
    page.locator("[name=city]").fill(" ")
    page.get_by_role("button", name="Place order").click()
    page.get_by_role("alert").wait_for()


def _press_elsewhere(page: Page) -> None:
    """The same goods as the order that was just placed, by the same customer."""
    _type(page, "placed@example.com")
    page.get_by_role("button", name="Place order").click()
    page.get_by_role("heading", name="Did you order this already?").wait_for()


def _sign_up_with_mistakes(page: Page) -> None:
    page.get_by_label("E-mail").fill("ada@example")
    page.get_by_role("button", name="Send me the link").click()
    page.get_by_text("something is missing in it").wait_for()


def _open_new_account(page: Page) -> None:
    from django.urls import reverse

    from checkout.orders.mail.account import sign_up_token

    page.goto(reverse("sign_up_new", args=[sign_up_token("grace@example.com", "")]))


def _choose_a_weak_password(page: Page) -> None:
    _open_new_account(page)
    page.get_by_label("Password").fill("ink")
    page.get_by_role("button", name="Make the account").click()
    page.get_by_text("too short").wait_for()


def _open_new_password(page: Page) -> None:
    from django.contrib.auth.models import User
    from django.contrib.auth.tokens import default_token_generator
    from django.urls import reverse
    from django.utils.encoding import force_bytes
    from django.utils.http import urlsafe_base64_encode

    user, _ = User.objects.get_or_create(username="forgetful@example.com")
    user.set_password("forgotten")
    user.save()
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    page.goto(reverse("password_new", args=[uid, default_token_generator.make_token(user)]))


def _sign_in(page: Page, email: str) -> None:
    page.context.clear_cookies()
    page.goto("/account/sign-in/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Your orders").wait_for()


def _shelves() -> list[Shot]:
    return [
        Shot("shelves", "/"),
        Shot("product", "/products/fountain-pen-medium-nib/"),
        Shot("product-last", "/products/desk-globe-1958/"),
        Shot("product-sold-out", "/products/sealing-wax-red/"),
        Shot("delivery-prices", "/delivery/"),
        *(Shot(f"text-{kind}", f"/pages/{kind}/") for kind in TEXTS),
    ]


def _checkout() -> list[Shot]:
    return [
        Shot("cart", "/cart/"),
        Shot("checkout", "/checkout/", _type),
        Shot("checkout-mistakes", "/checkout/", _press_with_mistakes),
        Shot("checkout-question", "/checkout/", _press_elsewhere),
        Shot("find", "/orders/find/"),
        Shot("find-sent", "/orders/find/sent/"),
        Shot("order-hidden", f"/orders/{'A' * 22}/"),
        Shot("order-returned", f"/orders/{'A' * 22}/?redirect_status=succeeded"),
    ]


def _orders(browser: Browser, url: str) -> Iterator[Shot]:
    from django.utils import timezone

    from checkout.catalogue.models import Product
    from checkout.orders.links import link_path
    from checkout.orders.states import OrderStatus as Status
    from checkout.orders.transitions import transition
    from tests.support.factories import placed_order

    moves: dict[str, list[tuple[Status, dict[str, Any]]]] = {
        "placed": [],
        "action-required": [(Status.ACTION_REQUIRED, {"action_url": f"{url}/"})],
        "declined": [(Status.PAYMENT_FAILED, {})],
        "paid": [(Status.PAYMENT_FAILED, {}), (Status.PLACED, {}), (Status.PAID, {})],
        "partly-refunded": [(Status.PAID, {}), (Status.PARTLY_REFUNDED, {"refunded_minor": 1450})],
        "refunded": [(Status.PAID, {}), (Status.REFUNDED, {"refunded_minor": 5650})],
        "cancelled": [(Status.PAYMENT_FAILED, {}), (Status.CANCELLED, {})],
    }
    goods = [Product.objects.get(slug=slug) for slug in CART]
    for name, steps in moves.items():
        # One by hand, to be bought again by the same customer.
        by_hand = name == "placed"
        order = _place(browser, url, f"{name}@example.com") if by_hand else placed_order(*goods)
        for status, changes in steps:
            transition(order.pk, status, reason="Screenshot", now=timezone.now(), **changes)
        yield Shot(f"order-{name}", link_path(order))
        if name == "paid":
            yield Shot("order-cancel", link_path(order), _ask_to_cancel)
    yield from _sent_orders(goods)


def _sent_orders(goods: list["Product"]) -> Iterator[Shot]:
    from django.utils import timezone

    from checkout.orders.cancelling import cancel_paid
    from checkout.orders.dispatch.ship import ship
    from checkout.orders.links import link_path
    from checkout.orders.states import Canceller, OrderStatus
    from checkout.orders.transitions import transition
    from tests.support.factories import placed_order

    now = timezone.now
    partly, cancelled = placed_order(*goods), placed_order(*goods)
    for order in (partly, cancelled):
        transition(order.pk, OrderStatus.PAID, reason="Screenshot", now=now())
    first = partly.lines.all()[0]
    number = "RR123456785IE"
    ship(partly, {first.pk: 1}, key="picture", tracking_number=number, by="clerk", now=now())
    cancel_paid(cancelled, Canceller.CUSTOMER, by="", why="", now=now())
    yield Shot("order-authorised", link_path(_set_aside(placed_order(*goods))))
    yield Shot("order-partly-sent", link_path(partly))
    yield Shot("order-cancelled-paid", link_path(cancelled))


def _set_aside(order: "Order") -> "Order":
    """Its customer's bank keeps the price until it is sent."""
    from django.utils import timezone

    from checkout.orders.states import OrderStatus
    from checkout.orders.transitions import transition
    from payments.models import Payment
    from payments.states import PaymentStatus

    now = timezone.now()
    until = now + timedelta(days=7)
    Payment.objects.create(
        order=order,
        gateway="stripe",
        gateway_payment_id=f"pi_picture_{order.pk}",
        round=1,
        status=PaymentStatus.AUTHORISED,
        captures_later=True,
        amount_minor=order.total_minor,
        currency=order.currency,
        created_at=now,
    )
    transition(
        order.pk,
        OrderStatus.AUTHORISED,
        reason="Screenshot",
        now=now,
        authorised_until=until,
        sweep_at=until,
    )
    return order


def _ask_to_cancel(page: Page) -> None:
    page.get_by_role("link", name="Cancel this order").click()
    page.get_by_role("heading", name="Cancel this order?").wait_for()


def _place(browser: Browser, url: str, email: str) -> "Order":
    from checkout.orders.models import Order

    context = _context(browser, url, WIDTHS["desktop"], "light")
    page = context.pages[0]
    _fill_cart(page)
    page.goto("/checkout/")
    _type(page, email)
    page.get_by_role("button", name="Place order").click()
    page.wait_for_url("**/orders/*/")
    reference = page.url.rstrip("/").rpartition("/")[2]
    context.close()
    return Order.objects.get(reference=reference)


def _account() -> list[Shot]:
    """Last, for they leave a session behind that is signed in."""
    from django.contrib.auth.models import User

    from checkout.orders.models import Order

    User.objects.create_user("new@example.com", password=PASSWORD)
    ada = User.objects.create_user("ada@example.com", password=PASSWORD)
    newest = Order.objects.order_by("-id")[:ORDERS_OF_AN_ACCOUNT]
    Order.objects.filter(pk__in=list(newest.values_list("pk", flat=True))).update(customer=ada)
    return [
        Shot("sign-in", "/account/sign-in/"),
        Shot("sign-up", "/account/sign-up/"),
        Shot("sign-up-mistakes", "/account/sign-up/", _sign_up_with_mistakes),
        Shot("sign-up-sent", "/account/sign-up/sent/"),
        Shot("sign-up-new", "/", _open_new_account),
        Shot("sign-up-new-mistakes", "/", _choose_a_weak_password),
        Shot("password", "/account/password/"),
        Shot("password-sent", "/account/password/sent/"),
        Shot("password-new", "/account/password/", _open_new_password),
        Shot("account-empty", "/", lambda page: _sign_in(page, "new@example.com")),
        Shot("account", "/", lambda page: _sign_in(page, "ada@example.com")),
    ]


def _admin(url: str) -> tuple[list[Shot], str]:
    """The admin's pages, and the session of somebody who may see them."""
    from tests.browser.admin_pages import a_day_at_the_desk, session_of_staff

    pages = a_day_at_the_desk(url, SHOP)
    return [Shot(name, path) for name, path in pages.items()], session_of_staff()


def _sign_in_as_staff(context: BrowserContext, url: str, session: str) -> None:
    context.clear_cookies()
    context.add_cookies([{"name": "sessionid", "value": session, "url": url}])


def _failures() -> list[Shot]:
    from django.test import RequestFactory

    from checkout.views import error_pages

    request = RequestFactory().get("/")
    return [
        Shot("error-400", "/failed/", failure=error_pages.bad_request(request)),
        Shot("error-403", "/failed/", failure=error_pages.forbidden(request)),
        Shot("error-404", "/nowhere/"),
        Shot("error-429", "/failed/", failure=error_pages.too_many_requests(request, 90)),
        Shot("error-500", "/failed/", failure=error_pages.server_error(request)),
        Shot("error-503", "/failed/", failure=error_pages.unavailable(request)),
    ]


def _give_up(signum: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"Not done after {AT_MOST_SECONDS} s.")


if __name__ == "__main__":
    main()
