"""The checkout form on a bad line: sent by fetch, sent again by itself, and nothing typed is lost.

Here single answers are made up; `test_bad_lines` has the whole shop behind a line that breaks.
"""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, Request, Route, expect

from checkout.orders.models import Order
from checkout.orders.placing.place import PlacingUnavailable
from checkout.views import checkout
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor, heading, last_held, place_button
from tests.support.long import at_length, long
from tests.support.till import Till, assert_one_order_one_charge

CHECKOUT = "**/checkout/"
BUSY = "Placing your order…"
LABEL = "Place order — €10.01"
DEADLINE_MS = 15_000
# Each wait before the next try with the most that chance adds to it.
WAITS_MS = [1_250, 3_750, 10_000]
RETRY_AFTER_MS = 12_500

NOTE_THE_TOTAL = """() => document.addEventListener("shop:total", () => {
  window.totalIsShown = true;
})"""

Answer = Callable[[Route], None]


@pytest.fixture
def at_checkout(visit: Visit) -> Visitor:
    visitor = visit()
    visitor.open_checkout()
    visitor.page.clock.install()
    return visitor


def form_button(page: Page) -> Locator:
    return page.locator("[data-place]")


def width_of_button(page: Page) -> int:
    """Asked of the page at once: the price that was on its way may bring another button."""
    return int(page.evaluate("document.querySelector('[data-place]').offsetWidth"))


def words(page: Page) -> Locator:
    return page.locator("[data-press-words]")


def let_it_give_up(page: Page) -> None:
    """In small steps, for a refusal takes a moment of real time to reach the page."""
    for _ in range(sum(WAITS_MS) // 1000 + 60):
        if form_button(page).inner_text() == LABEL:
            return
        page.clock.run_for(1000)


def let_it_send_again(page: Page, sent: list[str]) -> None:
    """In small steps, for the page begins to wait a moment after its answer came."""
    before = len(sent)
    with page.expect_response(CHECKOUT):
        for _ in range(RETRY_AFTER_MS // 1000 + 60):
            if len(sent) > before:
                return
            page.clock.run_for(1000)


def posts(page: Page) -> list[str]:
    """What is sent to the shop from now on."""
    sent: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            sent.append(request.post_data or "")

    page.on("request", note)
    return sent


def hold_next(page: Page) -> list[Route]:
    """The next press hangs on its way, until the test lets it go on."""
    held: list[Route] = []
    page.route(CHECKOUT, lambda route: held.append(route), times=1)
    return held


def test_no_answer_is_said_and_the_same_purchase_sent_again(
    at_checkout: Visitor, till: Till
) -> None:
    page, sent, held = at_checkout.page, posts(at_checkout.page), hold_next(at_checkout.page)

    place_button(page).click()

    expect(form_button(page)).to_have_text(BUSY)
    expect(form_button(page)).to_have_attribute("aria-disabled", "true")
    page.clock.run_for(DEADLINE_MS)
    expect(words(page)).to_contain_text("No answer yet. Your order may have arrived")
    expect(form_button(page)).to_have_text(BUSY)
    page.clock.run_for(WAITS_MS[0])
    at_checkout.arrive(page)
    assert len(sent) == 2
    assert sent[0] == sent[1]
    held[0].abort()  # long given up by the page
    assert_one_order_one_charge(till)


@long
def test_button_comes_back_after_the_last_try(at_checkout: Visitor, till: Till) -> None:
    page, sent = at_checkout.page, posts(at_checkout.page)
    width = width_of_button(page)
    page.route(CHECKOUT, lambda route: route.abort())
    place_button(page).click()
    assert width_of_button(page) == width

    expect(words(page)).to_contain_text("No answer yet")
    let_it_give_up(page)

    expect(words(page)).to_contain_text("Still no answer. Your order may have arrived all the same")
    expect(form_button(page)).to_have_text(LABEL)
    expect(form_button(page)).not_to_have_attribute("aria-disabled", "true")
    assert len(sent) == 1 + len(WAITS_MS)
    page.unroute(CHECKOUT)
    at_checkout.place_order()
    assert_one_order_one_charge(till)


def test_press_while_a_try_is_on_its_way_does_nothing(at_checkout: Visitor, till: Till) -> None:
    page, sent, held = at_checkout.page, posts(at_checkout.page), hold_next(at_checkout.page)
    place_button(page).click()

    form_button(page).click(force=True)  # though it says that it is disabled
    page.locator("[name=city]").press("Enter")

    expect(form_button(page)).to_have_text(BUSY)
    last_held(page, held).continue_()
    at_checkout.arrive(page)
    assert len(sent) == 1
    assert_one_order_one_charge(till)


@pytest.mark.parametrize(
    "answer",
    [
        lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"),
        lambda route: route.fulfill(body="<h1>Sign in to this network</h1>"),
        *at_length(lambda route: route.fulfill(status=204)),
    ],
    ids=["proxy's error", "captive portal", "nothing"],
)
def test_answer_that_is_not_the_shops_is_none(
    at_checkout: Visitor, till: Till, answer: Answer
) -> None:
    page = at_checkout.page
    page.route(CHECKOUT, answer, times=1)
    place_button(page).click()
    expect(words(page)).to_contain_text("this page sends it again by itself")

    page.clock.run_for(WAITS_MS[0])

    at_checkout.arrive(page)
    assert_one_order_one_charge(till)


def test_unavailable_shop_is_asked_again_when_it_said(
    at_checkout: Visitor, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, sent = at_checkout.page, posts(at_checkout.page)
    with monkeypatch.context() as outage:
        outage.setattr(checkout, "place_order", away)
        place_button(page).click()
        expect(words(page)).to_contain_text("The shop cannot take your order just now")
    page.clock.run_for(9_900)
    assert len(sent) == 1

    page.clock.run_for(RETRY_AFTER_MS - 9_900)

    at_checkout.arrive(page)
    assert_one_order_one_charge(till)


@long
def test_shop_that_stays_unavailable_says_so_and_the_next_press_buys(
    at_checkout: Visitor, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, sent = at_checkout.page, posts(at_checkout.page)
    typed = at_checkout.typed(page)
    with monkeypatch.context() as outage:
        outage.setattr(checkout, "place_order", away)
        place_button(page).click()
        for number in range(1, 4):
            expect(words(page)).to_contain_text("The shop cannot take your order just now")
            assert len(sent) == number
            let_it_send_again(page, sent)
        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("could not store your order")
        expect(alert).to_be_focused()
    assert at_checkout.typed(page) == typed
    assert not Order.objects.exists()

    at_checkout.place_order()

    assert_one_order_one_charge(till)


def away(*_: object, **__: object) -> Order:
    raise PlacingUnavailable


def test_shop_that_asks_to_wait_is_not_asked_again(at_checkout: Visitor, till: Till) -> None:
    page, sent = at_checkout.page, posts(at_checkout.page)
    typed = at_checkout.typed(page)
    page.route(
        CHECKOUT,
        lambda route: route.fulfill(status=429, headers={"Retry-After": "2"}, body="<h1>Wait</h1>"),
        times=1,
    )

    place_button(page).click()

    expect(words(page)).to_contain_text("more than we take from one place at a time")
    expect(form_button(page)).to_have_text(LABEL)
    page.clock.run_for(60_000)
    assert len(sent) == 1
    assert at_checkout.typed(page) == typed
    at_checkout.place_order()
    assert_one_order_one_charge(till)


def test_refused_form_comes_back_as_with_a_full_page_load(at_checkout: Visitor) -> None:
    page = at_checkout.page
    page.get_by_label("E-mail").fill("ada@example")
    held = hold_next(page)
    place_button(page).click()
    page.get_by_label("Address").fill("13 Inkwell Lane")
    typed = at_checkout.typed(page)

    last_held(page, held).continue_()

    alert = page.get_by_role("alert")
    expect(alert).to_be_focused()
    expect(alert).to_contain_text("Nothing was ordered or charged")
    expect(page).to_have_title("Please look again: Checkout · Shop")
    assert at_checkout.typed(page) == typed  # also what was typed since the press
    page.get_by_label("E-mail").fill("ada@example.com")
    page.get_by_label("Postcode").fill("12")
    page.get_by_label("E-mail").focus()
    expect(page.locator("[data-postcode-hint]")).to_contain_text("Postcodes in Ireland")
    at_checkout.place_order()
    assert Order.objects.get().address == "13 Inkwell Lane"


def test_offline_since_before_the_script_is_said_too(visit: Visit) -> None:
    visitor = visit()
    visitor.context.add_init_script(
        "Object.defineProperty(Navigator.prototype, 'onLine', {get: () => false})"
    )

    visitor.open_checkout()

    expect(words(visitor.page)).to_contain_text("You are offline. Nothing is lost")


def test_total_that_was_on_its_way_leaves_the_words_about_the_line(visit: Visit) -> None:
    visitor, held = visit(), list[Route]()
    visitor.context.route("**/checkout/total/", lambda route: held.append(route))
    visitor.open_checkout()
    page = visitor.page
    total = last_held(page, held)
    answer = total.fetch()
    visitor.context.set_offline(True)
    expect(words(page)).to_contain_text("You are offline. Nothing is lost")
    page.evaluate(NOTE_THE_TOTAL)

    total.fulfill(response=answer)

    page.wait_for_function("window.totalIsShown")
    expect(words(page)).to_contain_text("You are offline. Nothing is lost")


def test_offline_is_said_before_and_after_the_press(at_checkout: Visitor, till: Till) -> None:
    page = at_checkout.page
    usual = words(page).text_content() or ""

    at_checkout.context.set_offline(True)
    expect(words(page)).to_contain_text("You are offline. Nothing is lost: everything you typed")
    at_checkout.context.set_offline(False)
    expect(words(page)).to_have_text(usual)
    at_checkout.context.set_offline(True)
    place_button(page).click()
    expect(words(page)).to_contain_text("sent by itself as soon as you are online")

    at_checkout.context.set_offline(False)

    at_checkout.arrive(page)
    assert_one_order_one_charge(till)


@long
def test_order_changed_while_offline_waits_for_its_press(at_checkout: Visitor, till: Till) -> None:
    page, sent = at_checkout.page, posts(at_checkout.page)
    at_checkout.context.set_offline(True)
    place_button(page).click()
    expect(words(page)).to_contain_text("You are offline")
    let_it_give_up(page)
    expect(form_button(page)).to_have_text(LABEL)
    page.get_by_label("Address").fill("13 Inkwell Lane")
    tried = len(sent)

    at_checkout.context.set_offline(False)

    expect(words(page)).to_contain_text("Pressing twice is harmless")
    assert len(sent) == tried
    at_checkout.place_order()
    assert assert_one_order_one_charge(till).address == "13 Inkwell Lane"


@pytest.mark.parametrize("missing", ["fetch", *at_length("AbortController")])
def test_old_browser_sends_the_form_itself(visit: Visit, till: Till, missing: str) -> None:
    visitor = visit()
    visitor.context.add_init_script(f"delete window.{missing}")
    visitor.open_checkout()
    page = visitor.page
    page.clock.install()
    # The browser stays on the page, as it does while it waits.
    page.route(CHECKOUT, lambda route: route.fulfill(status=204), times=1)
    place_button(page).click()
    expect(form_button(page)).to_have_text(BUSY)

    page.clock.run_for(DEADLINE_MS)

    expect(form_button(page)).to_have_text(LABEL)
    expect(words(page)).to_contain_text("Still no answer")
    with page.expect_request(lambda request: request.method == "POST") as sent:
        place_button(page).click()
    assert sent.value.is_navigation_request()
    visitor.arrive(page)
    assert_one_order_one_charge(till)


@long
def test_form_travels_as_if_the_browser_had_sent_it(visit: Visit, till: Till) -> None:
    bodies = []
    for scripts_can_fetch in (True, False):
        visitor = visit()
        if not scripts_can_fetch:
            visitor.context.add_init_script("delete window.fetch")
        # Or the rows of the address would be those of the country that is chosen in one of the two.
        visitor.page.route("**/checkout/total/", lambda route: route.abort())
        visitor.open_checkout()
        visitor.page.get_by_label("Full name").fill("Zoë & Ada = 100 %")
        visitor.page.locator("[name=token]").evaluate("field => { field.value = 'same' }")
        visitor.page.locator("[name=csrfmiddlewaretoken]").evaluate("field => field.remove()")
        with visitor.page.expect_request(lambda request: request.method == "POST") as sent:
            place_button(visitor.page).click()
        expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()
        content_type = sent.value.headers["content-type"].partition(";")[0]
        bodies.append((content_type, sent.value.post_data))

    assert bodies[0] == bodies[1]
    assert till.charges() == []


def test_payment_is_sent_again_by_itself(visit: Visit, till: Till) -> None:
    visitor = visit()
    visitor.open_checkout("pm_card_chargeDeclined")
    visitor.place_order()
    till.settle(Order.objects.get())
    page = visitor.page
    expect(heading(page)).to_have_text("Your payment was declined")
    page.wait_for_load_state()  # with its scripts
    page.clock.install()
    page.get_by_label("Card that is approved").check()
    page.route("**/pay/", lambda route: route.abort(), times=1)
    page.get_by_role("button", name="Pay").click()
    expect(words(page)).to_contain_text("No answer yet. Your payment may have arrived")

    page.clock.run_for(WAITS_MS[0])

    expect(heading(page)).to_have_text("We have your order")
    till.settle(Order.objects.get())
    assert_one_order_one_charge(till)
