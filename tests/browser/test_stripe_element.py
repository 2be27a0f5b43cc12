"""Our part of Stripe's Payment Element. Stripe's own script is played by a few lines of ours."""

import pytest
from playwright.sync_api import Route, expect
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from checkout.orders.models import Order
from config.csp import content_security_policy
from payments.gateways.stripe.settings import POLICY_SOURCES
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor, expect_status, heading, place_button, type_address
from tests.support.rules import delivery_method
from tests.support.till import Till, assert_one_order_one_charge

STRIPE = """
  window.asked = 0;
  window.Stripe = function (key) {
    window.key = key;
    var number = null;
    function payment() {
      return {
        mount: function (box) {
          number = document.createElement("input");
          number.id = "card";
          box.appendChild(number);
        },
        on: function (name, told) {
          number.addEventListener("input", function () {
            told({ empty: !number.value });
          });
        }
      };
    }
    function expressCheckout() {
      var listeners = {};
      window.tellWallets = function (there) {
        listeners.ready({ availablePaymentMethods: there });
      };
      return {
        mount: function (box) {
          var button = document.createElement("button");
          button.type = "button";
          button.id = "wallet";
          button.textContent = "Pay by wallet";
          button.onclick = function () {
            listeners.click({
              resolve: function () {
                number.value = "in the wallet";
                listeners.confirm({
                  paymentFailed: function () {
                    window.walletFailed = true;
                  }
                });
              },
              reject: function () {
                window.walletStaysShut = true;
              }
            });
          };
          box.appendChild(button);
        },
        on: function (name, told) {
          listeners[name] = told;
        }
      };
    }
    return {
      elements: function (options) {
        window.options = options;
        return {
          create: function (kind) {
            return kind === "payment" ? payment() : expressCheckout();
          },
          update: function (changed) {
            window.options.amount = changed.amount;
          },
          submit: function () {
            var wrong = number.value ? {} : { error: { message: "Your card number is missing." } };
            return Promise.resolve(wrong);
          }
        };
      },
      createConfirmationToken: function () {
        window.asked += 1;
        if (number.value === "lost") return Promise.reject(new Error("no network"));
        return new Promise(function (resolve) {
          setTimeout(function () {
            var ways = { paypal: "paypal", "an IBAN": "sepaDebit" };
            var way = ways[number.value] || "card_visa";
            resolve({ confirmationToken: { id: "ctoken_7f3a_" + way } });
          }, 200);
        });
      }
    };
  };
"""


@pytest.fixture
def at_checkout(visit: Visit, settings: Settings, live_server: LiveServer) -> Visitor:
    settings.SHOP_URL = live_server.url
    settings.STRIPE_PUBLISHABLE_KEY = "pk_test_of_the_tests"
    settings.CONTENT_SECURITY_POLICY = content_security_policy(POLICY_SOURCES)
    visitor = visit()
    visitor.context.route("https://js.stripe.com/**", played)
    visitor.take_cart_to_checkout()
    type_address(visitor.page)
    return visitor


def played(route: Route) -> None:
    route.fulfill(body=STRIPE, content_type="text/javascript")


def order_by(at_checkout: Visitor, entered: str) -> Order:
    at_checkout.page.locator("#card").fill(entered)
    at_checkout.place_order()
    return Order.objects.get()


def test_card_goes_to_stripe_and_its_token_to_the_shop(at_checkout: Visitor) -> None:
    page = at_checkout.page
    assert page.evaluate("window.key") == "pk_test_of_the_tests"
    shown = page.evaluate("window.options")
    assert shown == {"mode": "payment", "amount": 1001, "currency": "eur"}
    page.locator("#card").fill("4242 4242 4242 4242")

    place_button(page).dblclick()
    at_checkout.arrive(page)

    assert Order.objects.get().payment_method == "ctoken_7f3a_card_visa"


def test_total_that_changes_is_told_to_stripe(at_checkout: Visitor) -> None:
    """Which ways to pay there are may depend on it, and a wallet shows it."""
    page = at_checkout.page
    delivery_method("Parcel", {"DE": 490, "IE": 990}, position=1)

    page.locator("[name=country]").select_option("DE")

    expect(place_button(page)).to_contain_text("14.91")
    assert page.evaluate("window.options.amount") == 1491


def test_wallet_is_shown_where_the_browser_has_one_and_buys(
    at_checkout: Visitor, till: Till
) -> None:
    page = at_checkout.page
    wallet = page.get_by_role("button", name="Pay by wallet")
    page.evaluate("window.tellWallets(undefined)")
    expect(wallet).to_be_hidden()
    page.evaluate("window.tellWallets({ applePay: true })")

    page.locator("[name=email]").fill("")
    wallet.click()
    page.wait_for_function("window.walletStaysShut")
    page.locator("[name=email]").fill("ada@example.com")
    wallet.click()
    at_checkout.arrive(page)

    till.settle(Order.objects.get())
    assert_one_order_one_charge(till)


def test_customer_goes_on_at_the_company_with_which_they_pay(
    at_checkout: Visitor, till: Till
) -> None:
    page, order = at_checkout.page, order_by(at_checkout, "paypal")
    till.settle(order)
    expect_status(page, "action_required")
    expect(heading(page)).to_have_text("One step is left: approve your payment")

    page.get_by_role("link", name="Continue to your payment").click()
    page.get_by_role("button", name="Approve").click()

    page.wait_for_url(f"**/orders/{order.reference}/**")
    till.settle(order)
    expect_status(page, "paid")
    assert_one_order_one_charge(till)


def test_debit_is_told_as_the_promise_that_it_is(at_checkout: Visitor, till: Till) -> None:
    page, order = at_checkout.page, order_by(at_checkout, "an IBAN")

    till.settle(order)

    expect_status(page, "promised")
    assert till.charges() == []


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

    assert Order.objects.get().payment_method == "ctoken_7f3a_card_visa"
    assert page.evaluate("window.asked") is None  # another page by now: nobody asked again


def test_script_that_is_blocked_is_said(visit: Visit, settings: Settings) -> None:
    settings.STRIPE_PUBLISHABLE_KEY = "pk_test_of_the_tests"
    settings.CONTENT_SECURITY_POLICY = content_security_policy(POLICY_SOURCES)
    visitor = visit()
    visitor.context.route("https://js.stripe.com/**", lambda route: route.abort())
    visitor.take_cart_to_checkout()

    words = visitor.page.locator("[data-stripe-words]")
    expect(words).to_contain_text("Nothing was charged. Please reload this page.")
