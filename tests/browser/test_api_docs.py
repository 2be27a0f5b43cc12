"""The API's documentation page, from this shop's own files and under the policy of every page."""

from playwright.sync_api import expect

from tests.browser.conftest import Visit


def test_documentation_is_shown_and_asks_nobody_else(visit: Visit) -> None:
    visitor = visit()
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))

    visitor.page.goto("/api/v1/docs/")

    expect(visitor.page.get_by_text("/api/v1/orders/{reference}/cancel/")).to_be_visible()
    visitor.page.get_by_role("button", name="POST /api/v1/orders/", exact=True).first.click()
    expect(visitor.page.get_by_text("Names this request").first).to_be_visible()
    here = "/".join(visitor.page.url.split("/")[:3])
    assert {url for url in asked if not url.startswith((here, "data:"))} == set()
