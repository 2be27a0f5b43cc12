"""A customer withdraws in a real browser, without scripts, by the footer's link."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from checkout.catalogue.models import Product
from checkout.orders.models import Withdrawal
from tests.browser.conftest import Visit, needs_axe
from tests.browser.screenshots import violations_of
from tests.browser.test_pages import TOO_SMALL, TOO_WIDE, TOUCH_TARGET_PX
from tests.browser.visitor import heading
from tests.support.factories import placed_order
from tests.support.long import at_length

ENGLISH, GERMAN = "en-US", "de-DE"

WORDS = {
    ENGLISH: (
        "Withdraw from a contract here",
        "Go on to confirm",
        "Confirm withdrawal",
        "Change something",
        "We have received your withdrawal",
    ),
    GERMAN: (
        "Vertrag hier widerrufen",
        "Weiter zur Bestätigung",
        "Widerruf bestätigen",
        "Etwas ändern",
        "Wir haben Ihren Widerruf erhalten",
    ),
}

PICTURES: Path | None = None


def look(page: Page, name: str) -> None:
    page.wait_for_load_state()  # with its styles
    assert page.evaluate(TOO_WIDE) == 0, f"{name}: scrolls sideways"
    assert page.evaluate(TOO_SMALL.replace("MINIMUM", str(TOUCH_TARGET_PX))) == [], name
    if PICTURES:
        page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def check_rules(page: Page, name: str) -> None:
    assert violations_of(page, name) == []


def withdraw(
    page: Page, locale: str, number: str, width: int, check: Callable[[Page, str], None]
) -> None:
    """From the footer to the page that confirms it, with a mistake and a change on the way."""
    link, go_on, confirm, change, received = WORDS[locale]
    page.goto("/")
    page.get_by_role("contentinfo").get_by_role("link", name=link).click()
    expect(heading(page)).to_have_text(link)
    check(page, f"form-{width}-{locale}")

    page.locator("[name=number]").fill(number)
    page.locator("[name=full_name]").fill("Ada Quillfeather")
    page.locator("[name=email]").fill("ada@example")
    page.get_by_role("button", name=go_on).click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator("[name=full_name]")).to_have_value("Ada Quillfeather")
    check(page, f"mistake-{width}-{locale}")

    page.locator("[name=email]").fill("ada@example.com")
    page.get_by_role("button", name=go_on).click()
    expect(page.get_by_text(number)).to_be_visible()
    check(page, f"confirm-{width}-{locale}")
    page.get_by_role("button", name=change).click()
    page.get_by_role("button", name=go_on).click()
    page.get_by_role("button", name=confirm).click()

    expect(heading(page)).to_have_text(received)
    stated = Withdrawal.objects.get()
    expect(page.locator("time")).to_contain_text(f"{stated.stated_at:%H:%M:%S}")
    check(page, f"received-{width}-{locale}")


@pytest.mark.parametrize(
    ("width", "locale"),
    [(1280, ENGLISH), *at_length((360, ENGLISH), (360, GERMAN), (1280, GERMAN))],
)
def test_withdrawing_without_scripts(
    visit: Visit, shelf: list[Product], width: int, locale: str
) -> None:
    order = placed_order(shelf[0])
    visitor = visit(javascript=False, width=width, locale=locale)

    withdraw(visitor.page, locale, order.number, width, look)

    assert Withdrawal.objects.count() == 1


@needs_axe
@pytest.mark.parametrize(
    ("width", "locale"),
    [(360, GERMAN), *at_length((360, ENGLISH), (1280, ENGLISH), (1280, GERMAN))],
)
def test_pages_break_no_rule(visit: Visit, shelf: list[Product], width: int, locale: str) -> None:
    """With scripts, since axe-core is one."""
    order = placed_order(shelf[0])

    withdraw(visit(width=width, locale=locale).page, locale, order.number, width, check_rules)


def test_confirmed_by_a_double_click_is_one_statement(visit: Visit, shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    page = visit().page
    page.goto("/withdrawal/")
    page.locator("[name=number]").fill(order.number)
    page.locator("[name=full_name]").fill("Ada Quillfeather")
    page.locator("[name=email]").fill("ada@example.com")
    page.get_by_role("button", name="Go on to confirm").click()
    page.get_by_role("button", name="Confirm withdrawal").dblclick()

    expect(heading(page)).to_have_text("We have received your withdrawal")
    assert Withdrawal.objects.count() == 1
