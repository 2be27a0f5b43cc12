"""The Content-Security-Policy: strict, on every page, and these tests notice where it breaks."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import expect

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from config.csp import content_security_policy
from payments.gateways.stripe.settings import POLICY_SOURCES
from tests.browser.conftest import Visit
from tests.browser.visitor import until


@pytest.mark.parametrize("path", ["/", "/cart/", "/nowhere/", "/admin/login/", "/account/sign-in/"])
def test_every_page_has_the_policy(shelf: list[Product], path: str) -> None:
    policy = Client().get(path).headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "stripe" not in policy


def test_stripe_is_let_in_where_its_fields_are() -> None:
    directives = content_security_policy(POLICY_SOURCES)["DIRECTIVES"]

    assert "https://js.stripe.com" in directives["script-src"]
    assert "https://js.stripe.com" in directives["frame-src"]
    assert "https://api.stripe.com" in directives["connect-src"]
    assert not any("unsafe" in source for sources in directives.values() for source in sources)


def test_script_in_a_page_does_not_run_and_is_noticed(visit: Visit) -> None:
    visitor = visit()
    visitor.page.goto("/")

    visitor.page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.appendChild(script);
          const line = document.createElement("p");
          line.setAttribute("onclick", "window.ran = true");
          document.body.appendChild(line);
          line.click();
        }"""
    )

    # Each of the two is told by the console and by an event.
    until(visitor.page, lambda: len(visitor.problems) == 4, "four notices")
    assert visitor.page.evaluate("window.ran === undefined")
    assert all("script-src" in problem for problem in visitor.problems)
    visitor.problems.clear()


def test_admin_works_under_it(visit: Visit) -> None:
    User.objects.create_superuser("boss", password="ink and quill")
    visitor = visit()
    visitor.open_checkout()
    visitor.place_order()
    page = visitor.page

    page.goto("/admin/")
    page.get_by_label("Username").fill("boss")
    page.get_by_label("Password").fill("ink and quill")
    page.get_by_role("button", name="Log in").click()
    page.locator("#orders-order").get_by_role("link", name="Orders").click()
    page.get_by_role("link", name=Order.objects.get().number).click()

    expect(page.get_by_text("Order placed").first).to_be_visible()
