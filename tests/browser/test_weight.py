"""The first look at the checkout page costs little, over the wire as production serves it."""

from typing import Any

from playwright.sync_api import expect

from checkout.models import Cart
from checkout.texts.demo import load_demo_texts
from tests.browser.conftest import Visit
from tests.browser.visitor import place_button
from tests.support.processes import ShopProcesses

BYTES, REQUESTS = 60_000, 8


def test_first_load_of_the_checkout_page(processes: ShopProcesses, visit: Visit) -> None:
    load_demo_texts()  # the page links them, as that of every shop that may sell
    visitor = visit()
    shop = processes.web().url
    page = visitor.page
    page.goto(f"{shop}/products/notebook-01/")
    page.get_by_role("button", name="Add to cart").click()
    page.wait_for_url("**/cart/", wait_until="networkidle")  # nothing of it is counted below
    assert Cart.objects.count() == 1
    network = visitor.context.new_cdp_session(page)
    weights: dict[str, float] = {}
    addresses: dict[str, str] = {}

    def sent(event: dict[str, Any]) -> None:
        addresses[event["requestId"]] = event["request"]["url"]

    def loaded(event: dict[str, Any]) -> None:
        weights[event["requestId"]] = event["encodedDataLength"]  # headers and body, compressed

    network.on("Network.requestWillBeSent", sent)
    network.on("Network.loadingFinished", loaded)
    network.send("Network.enable")
    network.send("Network.clearBrowserCache")
    network.send("Network.setCacheDisabled", {"cacheDisabled": True})

    page.goto(f"{shop}/checkout/", wait_until="networkidle")

    expect(place_button(page)).to_be_visible()
    # A browser with a window may ask twice for the icon of its tab.
    once = {address: weights.get(key, 0) for key, address in addresses.items()}
    told = [f"{weight:8.0f} {address}" for address, weight in once.items()]
    print(f"{len(told)} requests, {sum(once.values()):.0f} bytes", *told, sep="\n")
    assert 3 <= len(once) <= REQUESTS
    assert sum(once.values()) <= BYTES
