"""Support at a real browser: a customer is on the telephone, and says their e-mail address."""

from django.apps import apps
from django.contrib.auth.models import Group, User
from playwright.sync_api import expect

from checkout.orders.models import Order
from tests.admin.conftest import GROUPS
from tests.browser.conftest import Visit
from tests.browser.test_pages import TOO_WIDE
from tests.browser.visitor import Visitor
from tests.support.eventful_order import eventful_order
from tests.support.factories import placed_order
from tests.support.shopper import Shopper
from tests.support.till import Till

PASSWORD = "a long one for the desk"

NOTE_CLICKS = "addEventListener('click', event => window.noteClick(String(event.target)), true)"

# In the order of time; between them stand others.
STORY = [
    "Placed, payment under way: Order placed",
    "Sent again",
    "Confirm: declined",
    "Payment declined",
    "Placed, payment under way",
    "Confirm: paid",
    "Paid: Payment succeeded",
    "Refund of €3.00",
    "Partly refunded",
]


def sign_in(visitor: Visitor) -> None:
    GROUPS.make_groups(apps, None)
    user = User.objects.create_user("grace", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="support"))
    visitor.page.goto("/admin/")
    visitor.page.get_by_label("Username").fill("grace")
    visitor.page.get_by_label("Password").fill(PASSWORD)
    visitor.page.get_by_role("button", name="Log in").click()
    expect(visitor.page.get_by_role("link", name="The last 24 hours")).to_be_visible()


def test_from_an_address_to_the_whole_story_in_three_clicks(
    visit: Visit, shopper: Shopper, till: Till
) -> None:
    order: Order = eventful_order(shopper, till)
    Order.objects.filter(pk=order.pk).update(email="grace.notes@example.com")
    placed_order(order.lines.get().product)  # somebody else's
    visitor = visit()
    sign_in(visitor)
    page, clicks = visitor.page, list[str]()
    visitor.context.expose_function("noteClick", lambda where: clicks.append(where))
    visitor.context.add_init_script(NOTE_CLICKS)
    page.reload()

    page.get_by_role("link", name="Orders", exact=True).last.click()
    page.get_by_role("searchbox").fill("grace.notes@example.com")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=order.number).click()

    expect(page.locator("table.story")).to_be_visible()
    rows = iter(page.locator("table.story tbody tr").all_inner_texts())
    assert all(any(part in row for row in rows) for part in STORY)
    assert 0 < len(clicks) <= 3
    assert page.evaluate(TOO_WIDE) == 0
