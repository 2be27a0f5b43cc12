"""Our part of Stripe's Payment Element. Stripe's own script is played by a few lines of ours."""

import pytest
from playwright.sync_api import Page, Route, expect
from pytest_django.fixtures import Settings

from checkout.orders.models import Order
from config.csp import content_security_policy
from payments.gateways.stripe.settings import POLICY_SOURCES
from tests.browser.conftest import Visit
from tests.browser.visitor import TEXT_FIELDS, Visitor, place_button
from tests.support.shopper import TYPED

STRIPE = """
  window.asked = 0;
  window.Stripe = function (key) {
    window.key = key;
    var number = null;
    return {
      elements: function (options) {
        window.options = options;
        return {
          create: function () {
            return {
              mount: function (box) {
                var input = document.createElement("input");
                input.id = "card";
                box.appendChild(input);
                number = input;
              },
              on: function (name, told) {
                number.addEventListener("input", function () {
                  told({ empty: !number.value });
                });
              }
            };
          },
          submit: function () {
            var wrong = number.value ? {} : { error: { message: "Your card number is missing." } };
            return Promise.resolve(wrong);
          }
        };
      },
      createPaymentMethod: function () {
        window.asked += 1;
        if (number.value === "lost") return Promise.reject(new Error("no network"));
        return new Promise(function (resolve) {
          setTimeout(function () {
            resolve({ paymentMethod: { id: "pm_made_by_stripe" } });
          }, 200);
        });
      }
    };
  };
"""


@pytest.fixture
def at_checkout(visit: Visit, settings: Settings) -> Visitor:
    settings.STRIPE_PUBLISHABLE_KEY = "pk_test_of_the_tests"
    settings.CONTENT_SECURITY_POLICY = content_security_policy(POLICY_SOURCES)
    visitor = visit()
    visitor.context.route("https://js.stripe.com/**", played)
    visitor.fill_cart()
    visitor.page.get_by_role("link", name="Go to checkout").click()
    type_address(visitor.page)
    return visitor


def played(route: Route) -> None:
    route.fulfill(body=STRIPE, content_type="text/javascript")


def type_address(page: Page) -> None:
    for name in TEXT_FIELDS:
        page.locator(f"[name={name}]").fill(TYPED[name])
    page.locator("[name=country]").select_option(TYPED["country"])


def test_card_goes_to_stripe_and_its_id_to_the_shop(at_checkout: Visitor) -> None:
    page = at_checkout.page
    assert page.evaluate("window.key") == "pk_test_of_the_tests"
    assert page.evaluate("window.options.currency") == "eur"
    page.locator("#card").fill("4242 4242 4242 4242")

    place_button(page).dblclick()
    at_checkout.arrive(page)

    assert Order.objects.get().payment_method == "pm_made_by_stripe"


def test_missing_card_is_said_and_nothing_is_sent(at_checkout: Visitor) -> None:
    page = at_checkout.page

    place_button(page).click()

    expect(page.locator("[data-stripe-words]")).to_have_text("Your card number is missing.")
    expect(place_button(page)).to_be_enabled()
    assert not Order.objects.exists()


def test_stripe_that_does_not_answer_is_said_and_can_be_pressed_again(
    at_checkout: Visitor,
) -> None:
    page = at_checkout.page
    page.locator("#card").fill("lost")
    place_button(page).click()
    expect(page.locator("[data-stripe-words]")).to_contain_text("Nothing was ordered or charged")

    page.locator("#card").fill("4242 4242 4242 4242")
    place_button(page).click()
    at_checkout.arrive(page)

    assert Order.objects.count() == 1


def test_mistake_elsewhere_keeps_the_card(at_checkout: Visitor) -> None:
    page = at_checkout.page
    page.locator("[name=email]").fill("ada@example")
    page.locator("#card").fill("4242 4242 4242 4242")
    place_button(page).click()
    expect(page.get_by_role("alert").first).to_contain_text("Nothing was ordered or charged")
    expect(page.locator("[data-stripe-kept]")).to_be_visible()

    page.locator("[name=email]").fill("ada@example.com")
    place_button(page).click()
    at_checkout.arrive(page)

    assert Order.objects.get().payment_method == "pm_made_by_stripe"
    assert page.evaluate("window.asked") is None  # another page by now: nobody asked again


def test_script_that_is_blocked_is_said(visit: Visit, settings: Settings) -> None:
    settings.STRIPE_PUBLISHABLE_KEY = "pk_test_of_the_tests"
    settings.CONTENT_SECURITY_POLICY = content_security_policy(POLICY_SOURCES)
    visitor = visit()
    visitor.context.route("https://js.stripe.com/**", lambda route: route.abort())
    visitor.fill_cart()
    visitor.page.get_by_role("link", name="Go to checkout").click()

    words = visitor.page.locator("[data-stripe-words]")
    expect(words).to_contain_text("Nothing was charged. Please reload this page.")
