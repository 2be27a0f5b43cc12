"""A real browser before the real processes, over a wire that fails: whatever the shopper does, and
whatever the network does, one purchase is one order and one charge."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, expect
from pytest_django.plugin import DjangoDbBlocker

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OrderEvent
from payments.sandbox.server import SandboxServer
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor, heading, place_button
from tests.doubles.web_wire import Trouble, WebWire
from tests.support.long import long
from tests.support.processes import ShopProcesses, eventually
from tests.support.till import Charge, all_paid, charges_at

PAID = "Thank you, your order is paid"
SCRIPTS, NO_SCRIPTS = pytest.param(True, id="scripts"), pytest.param(False, id="no_scripts")

# `test_buying`, `test_repeats`, `test_slow_networks` and `test_second_thoughts` show the same of a
# shop in one process.
pytestmark = long

both = pytest.mark.parametrize("javascript", [SCRIPTS, NO_SCRIPTS])


@dataclass(frozen=True)
class RealShop:
    """gunicorn behind the wire, a publisher, a worker, a sandbox gateway and a local SQS."""

    wire: WebWire
    sandbox: SandboxServer

    def charges(self) -> list[Charge]:
        """Of the orders there are now; the gateway also remembers those of the tests before."""
        numbers = set(Order.objects.values_list("number", flat=True))
        return [charge for charge in charges_at(self.sandbox.url) if charge.order in numbers]

    def assert_paid_once(self, *, orders: int = 1) -> Order:
        assert Order.objects.count() == orders
        eventually(all_paid, what="paying")
        charged = sorted((charge.order, charge.amount_minor) for charge in self.charges())
        assert charged == sorted(Order.objects.values_list("number", "total_minor"))
        order = Order.objects.order_by("id").last()
        assert order
        return order


@pytest.fixture(scope="module")
def real_shop(
    tmp_path_factory: pytest.TempPathFactory,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[RealShop]:
    folder = tmp_path_factory.mktemp("shop")
    sandbox = SandboxServer(ledger_path=folder / "ledger.jsonl")
    sandbox.start()
    queue = f"payments-{secrets.token_hex(4)}.fifo"
    with django_db_blocker.unblock():
        processes = ShopProcesses(folder, STRIPE_API_BASE=sandbox.url, PAYMENTS_QUEUE_NAME=queue)
        assert processes.manage("ensure_queues").wait(timeout=60) == 0
        web = processes.web()
        wire = WebWire(urlsplit(web.url).port or 0)
        settings = {"SHOP_URL": wire.url}  # where the bank sends people back to
        processes.publisher(**settings)
        processes.worker(**settings)
    yield RealShop(wire, sandbox)
    wire.close()
    processes.stop()
    sandbox.stop()
    print(processes.said())


@pytest.fixture
def visit(browser: Browser, real_shop: RealShop, shelf: list[Product]) -> Iterator[Visit]:
    visitors: list[Visitor] = []

    def start(*, javascript: bool = True, width: int = 1280) -> Visitor:
        context = browser.new_context(
            base_url=real_shop.wire.url,
            java_script_enabled=javascript,
            viewport={"width": width, "height": 900},
        )
        # Between its tries a page waits a quarter of a minute altogether.
        context.set_default_timeout(60_000)
        visitors.append(Visitor(context))
        return visitors[-1]

    real_shop.wire.fail_next()
    yield start
    for visitor in visitors:
        visitor.context.close()
    assert [problem for visitor in visitors for problem in visitor.problems] == []


def see_it_paid(page: Page) -> None:
    expect(heading(page)).to_have_text(PAID)


@pytest.mark.parametrize(
    ("javascript", "width"),
    [
        pytest.param(True, 1280, id="scripts-desktop"),
        pytest.param(False, 360, id="no_scripts-phone"),
        pytest.param(True, 360, id="scripts-phone"),
        pytest.param(False, 1280, id="no_scripts-desktop"),
    ],
)
def test_buy(visit: Visit, real_shop: RealShop, javascript: bool, width: int) -> None:
    visitor = visit(javascript=javascript, width=width)
    visitor.open_checkout()

    visitor.place_order()

    see_it_paid(visitor.page)
    assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    real_shop.assert_paid_once()


@both
def test_double_click(visit: Visit, real_shop: RealShop, javascript: bool) -> None:
    visitor = visit(javascript=javascript)
    visitor.open_checkout()

    place_button(visitor.page).dblclick()

    visitor.arrive(visitor.page)
    see_it_paid(visitor.page)
    real_shop.assert_paid_once()


@both
def test_press_back_press(visit: Visit, real_shop: RealShop, javascript: bool) -> None:
    visitor = visit(javascript=javascript)
    visitor.open_checkout()
    first = visitor.place_order()

    visitor.page.go_back(wait_until="commit")
    # Back leads to the form as it was left, or straight to the order.
    eventually(
        lambda: visitor.page.url == first or place_button(visitor.page).is_visible(), what="Back"
    )
    if visitor.page.url != first:
        assert visitor.place_order() == first

    see_it_paid(visitor.page)
    real_shop.assert_paid_once()


@both
def test_two_tabs(visit: Visit, real_shop: RealShop, javascript: bool) -> None:
    visitor = visit(javascript=javascript)
    visitor.open_checkout()
    other = visitor.new_tab("/checkout/")
    visitor.type_in(other)

    first = visitor.place_order()
    place_button(other).click()

    assert visitor.arrive(other) == first
    see_it_paid(other)
    real_shop.assert_paid_once()


@both
def test_reload_during_the_press(visit: Visit, real_shop: RealShop, javascript: bool) -> None:
    visitor = visit(javascript=javascript)
    visitor.open_checkout()
    real_shop.wire.fail_next(Trouble.HELD_ANSWER)

    place_button(visitor.page).click(no_wait_after=True)
    eventually(Order.objects.exists, what="the order")
    visitor.page.goto("/checkout/")
    real_shop.wire.let_go.set()

    visitor.arrive(visitor.page)
    see_it_paid(visitor.page)
    real_shop.assert_paid_once()


@both
def test_closed_tab_and_back_later(visit: Visit, real_shop: RealShop, javascript: bool) -> None:
    visitor = visit(javascript=javascript)
    visitor.open_checkout()
    real_shop.wire.fail_next(Trouble.HELD_ANSWER)
    place_button(visitor.page).click(no_wait_after=True)
    eventually(Order.objects.exists, what="the order")
    visitor.page.close()

    page = visitor.new_tab("/checkout/")

    visitor.arrive(page)
    real_shop.wire.let_go.set()
    see_it_paid(page)
    real_shop.assert_paid_once()


def test_network_cut_during_the_press_and_during_the_answer(
    visit: Visit, real_shop: RealShop
) -> None:
    """A browser sends a press again by itself where it had a connection open already."""
    visitor = visit()
    visitor.open_checkout()
    # The page sends it four times, however often the browser does.
    real_shop.wire.fail_next(Trouble.CUT_BEFORE, Trouble.CUT_ANSWER, Trouble.CUT_ANSWER)

    place_button(visitor.page).click()

    # With enough connections open the browser does it all, and the script never hears of a failure.
    said = visitor.page.get_by_text("sends it again by itself")
    expect(said.or_(visitor.page.locator(".receipt")).first).to_be_visible()
    visitor.arrive(visitor.page)
    see_it_paid(visitor.page)
    assert real_shop.wire.presses == 4
    assert real_shop.assert_paid_once().resubmission_count == 2


@pytest.mark.parametrize("trouble", [Trouble.CUT_BEFORE, Trouble.CUT_ANSWER])
def test_network_cut_without_scripts(visit: Visit, real_shop: RealShop, trouble: Trouble) -> None:
    """The browser's own page says that there was no answer. Back, and press again."""
    visitor = visit(javascript=False)
    visitor.open_checkout()
    real_shop.wire.fail_next(*[trouble] * 50)  # a browser tries again by itself, too

    place_button(visitor.page).click()
    visitor.page.wait_for_url("chrome-error://**")
    real_shop.wire.fail_next()
    visitor.page.goto("/checkout/")
    if trouble is Trouble.CUT_BEFORE:
        assert not Order.objects.exists()
        visitor.type_in(visitor.page)
        visitor.place_order()

    visitor.arrive(visitor.page)
    see_it_paid(visitor.page)
    real_shop.assert_paid_once()


def test_answer_delayed_past_the_deadline(visit: Visit, real_shop: RealShop) -> None:
    visitor = visit()
    visitor.open_checkout()
    page = visitor.page
    page.clock.install()
    real_shop.wire.fail_next(*[Trouble.HELD_ANSWER] * 4)
    button = page.locator("[data-place]")
    words = page.locator("[data-press-words]")

    button.click()
    expect(button).to_have_text("Placing your order…")
    expect(button).to_have_attribute("aria-disabled", "true")
    eventually(Order.objects.exists, what="the order")
    for tries in range(1, 4):
        page.clock.run_for(15_000)
        expect(words).to_contain_text("sends it again by itself")
        page.clock.run_for(10_000)
        eventually(lambda: real_shop.wire.presses > tries, what="another try")  # noqa: B023 - called at once
    page.clock.run_for(15_000)

    expect(words).to_contain_text(
        "Still no answer. Your order may have arrived all the same. Press again"
    )
    expect(button).not_to_have_attribute("aria-disabled", "true")
    expect(button).to_have_text("Place order — €10.01")
    real_shop.wire.let_go.set()
    real_shop.wire.fail_next()
    visitor.place_order()
    page.clock.resume()
    see_it_paid(page)
    real_shop.assert_paid_once()


def test_offline_for_half_a_minute(visit: Visit, real_shop: RealShop) -> None:
    visitor = visit()
    visitor.open_checkout()
    page = visitor.page
    page.clock.install()
    visitor.context.set_offline(True)

    place_button(page).click()

    words = page.locator("[data-press-words]")
    expect(words).to_contain_text("You are offline. Nothing is lost")
    page.clock.run_for(30_000)
    expect(words).to_contain_text("You are offline. Nothing is lost")
    assert not Order.objects.exists()
    visitor.context.set_offline(False)
    visitor.arrive(page)
    page.clock.resume()
    see_it_paid(page)
    real_shop.assert_paid_once()


@both
def test_login_in_between(visit: Visit, real_shop: RealShop, javascript: bool) -> None:
    ada = User.objects.create_user("ada@example.com", password="quill and parchment")
    visitor = visit(javascript=javascript)
    visitor.open_checkout()
    typed = visitor.typed(visitor.page)
    other = visitor.new_tab("/account/sign-in/")
    other.get_by_label("E-mail").fill("ada@example.com")
    other.get_by_label("Password").fill("quill and parchment")
    other.get_by_role("button", name="Sign in").click()
    expect(heading(other)).to_have_text("Your orders")

    place_button(visitor.page).click()
    alert = visitor.page.get_by_role("alert")
    expect(alert).to_contain_text("press the button once more", ignore_case=True)
    assert visitor.typed(visitor.page) == typed
    assert not Order.objects.exists()
    visitor.place_order()

    see_it_paid(visitor.page)
    assert real_shop.assert_paid_once().customer == ada


@both
def test_second_device_is_asked_and_looks_at_the_first_order(
    visit: Visit, real_shop: RealShop, javascript: bool
) -> None:
    first, second = visit(), visit(javascript=javascript, width=360)
    first.open_checkout()
    first.place_order()
    second.open_checkout()
    typed = second.typed(second.page)

    place_button(second.page).click()

    question = second.page.get_by_role("alert")
    expect(question).to_contain_text("Did you order this already?")
    expect(question).to_be_focused()
    assert second.typed(second.page) == typed
    question.get_by_role("button", name="Send me the link").click()
    expect(heading(second.page)).to_have_text("Look at your e-mails")
    order = real_shop.assert_paid_once()
    assert order.events.filter(kind=OrderEvent.Kind.TWIN_SEEN).count() == 1


@both
def test_second_device_is_asked_and_orders_again(
    visit: Visit, real_shop: RealShop, javascript: bool
) -> None:
    first, second = visit(), visit(javascript=javascript)
    first.open_checkout()
    address = first.place_order()
    second.open_checkout()
    place_button(second.page).click()

    question = second.page.get_by_role("alert")
    question.get_by_role("button", name="Order it again").dblclick()

    assert second.arrive(second.page) != address
    see_it_paid(second.page)
    expect(second.page.locator(".steps")).to_contain_text("there is another order like this one")
    real_shop.assert_paid_once(orders=2)


@both
def test_declined_and_paid_again(visit: Visit, real_shop: RealShop, javascript: bool) -> None:
    visitor = visit(javascript=javascript)
    visitor.open_checkout("pm_card_chargeDeclined")
    visitor.place_order()
    page = visitor.page
    expect(heading(page)).to_have_text("Your payment was declined")
    expect(page.locator(".status")).to_contain_text("You have not been charged")
    assert real_shop.charges() == []

    page.get_by_label("Card that is approved").check()
    page.get_by_role("button", name="Pay").dblclick()

    see_it_paid(page)
    real_shop.assert_paid_once()


@both
def test_bank_that_asks_first(visit: Visit, real_shop: RealShop, javascript: bool) -> None:
    visitor = visit(javascript=javascript)
    visitor.open_checkout("pm_card_authenticationRequired")
    visitor.place_order()
    page = visitor.page
    expect(heading(page)).to_have_text("Your bank has a question")
    assert real_shop.charges() == []

    page.get_by_role("link", name="bank").first.click()
    page.get_by_role("button", name="Approve").click()

    visitor.arrive(page)
    if not javascript:  # a page with a form on it is not reloaded every few seconds
        real_shop.assert_paid_once()
        page.get_by_role("link", name="Look again").click()
    see_it_paid(page)
    real_shop.assert_paid_once()


@both
def test_keyboard_alone(visit: Visit, real_shop: RealShop, javascript: bool) -> None:
    visitor = visit(javascript=javascript)
    visitor.open_checkout()
    visitor.page.locator("[name=postcode]").focus()

    visitor.page.keyboard.press("Enter")

    visitor.arrive(visitor.page)
    see_it_paid(visitor.page)
    real_shop.assert_paid_once()
