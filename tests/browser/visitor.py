"""A shopper at a real browser."""

from collections.abc import Callable

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Route, expect

from tests.support.processes import eventually
from tests.support.shopper import TYPED, InProcess, Shopper

TEXT_FIELDS = ["email", "full_name", "address", "city", "postcode"]


NOTE_VIOLATIONS = """
  document.addEventListener("securitypolicyviolation", function (event) {
    window.noteViolation(event.violatedDirective + " is broken by " + event.blockedURI);
  });
"""


class Visitor:
    """Acts in one tab, `page`; `new_tab` opens another with the same cookies. `shop_url` is where
    the shop is, if this process serves it."""

    def __init__(self, context: BrowserContext, *, shop_url: str = "") -> None:
        self.context = context
        self.shop_url = shop_url
        self.problems: list[str] = []
        context.on("console", self._note)
        # A page that breaks the shop's policy says so, whichever way the browser takes it.
        context.expose_function("noteViolation", lambda told: self.problems.append(told))
        context.add_init_script(NOTE_VIOLATIONS)
        context.on("weberror", lambda error: self.problems.append(str(error.error)))
        self.page = context.new_page()

    def _note(self, message: ConsoleMessage) -> None:
        # The browser's own line for an answer of 4xx or 5xx, which the tests ask for.
        expected = message.text.startswith("Failed to load resource")
        if expected and "/static/" not in message.location["url"]:
            return
        if message.type in {"error", "warning"}:
            self.problems.append(f"{message.location['url']}: {message.text}")

    def new_tab(self, path: str) -> Page:
        page = self.context.new_page()
        page.goto(path)
        return page

    def fill_cart(self, slug: str = "notebook-01") -> None:
        self.page.goto(f"/products/{slug}/")
        self.page.get_by_role("button", name="Add to cart").click()
        expect(self.page.get_by_role("heading", name="Your cart")).to_be_visible()

    def open_checkout(self, method: str = "pm_card_visa") -> None:
        """`test_buying.py` goes all the way there, and so do others."""
        self.take_cart_to_checkout()
        self.type_in(self.page, method)

    def take_cart_to_checkout(self) -> None:
        """The page with its form. A cart is filled without the browser where that can be: to draw
        the pages before this one takes as long as what most tests look at."""
        if self.shop_url:
            self._bring_cart()
            self.page.goto("/checkout/")
        else:
            self.fill_cart()
            self.page.get_by_role("link", name="Go to checkout").click()

    def _bring_cart(self) -> None:
        web = InProcess()
        cookies = web.client.cookies
        for has in self.context.cookies():
            cookies[has["name"]] = has["value"]
        assert Shopper(web).add_to_cart("SKU-01").status == 303
        web.get("/cart/")  # which says what was added, and says it once
        self.context.add_cookies(
            [
                {"name": name, "value": cookie.value, "url": self.shop_url}
                for name, cookie in cookies.items()
                if cookie.value
            ]
        )

    def go_to_checkout(self, method: str = "pm_card_visa") -> None:
        self.page.get_by_role("link", name="Go to checkout").click()
        self.type_in(self.page, method)

    def type_in(self, page: Page, method: str = "pm_card_visa") -> None:
        type_address(page)
        page.locator(f"[name=payment_method][value={method}]").check()

    def typed(self, page: Page) -> dict[str, str]:
        fields = {
            name: page.locator(f"[name={name}]").input_value() for name in [*TEXT_FIELDS, "country"]
        }
        method = page.locator("[name=payment_method]:checked").get_attribute("value")
        return fields | {"payment_method": method or ""}

    def place_order(self) -> str:
        """Press the button and arrive on the order's page."""
        place_button(self.page).click()
        return self.arrive(self.page)

    def arrive(self, page: Page) -> str:
        page.wait_for_url("**/orders/*/")
        return page.url


def type_address(page: Page) -> None:
    page.wait_for_load_state()  # with its styles and scripts
    for name in TEXT_FIELDS:
        page.locator(f"[name={name}]").fill(TYPED[name])
    page.locator("[name=country]").select_option(TYPED["country"])


def place_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Place order")


def heading(page: Page) -> Locator:
    return page.get_by_role("heading", level=1)


def until(page: Page, is_so: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
    """The page, and what the browser tells of it, go on only while somebody waits for the page."""

    def look() -> bool:
        page.wait_for_timeout(20)
        return is_so()

    eventually(look, seconds=seconds, what=what)


def last_held(page: Page, held: list[Route]) -> Route:
    """The browser tells of a request by another way than of what its page shows meanwhile."""
    until(page, lambda: bool(held), "a request that is held")
    return held[-1]


def expect_status(page: Page, status: str) -> None:
    """Wait until the order's page shows it. The page looks by itself, and would be in the way of a
    test that loads it anew at the same moment."""
    expect(page.locator(f"[data-status={status}]")).to_be_visible()
