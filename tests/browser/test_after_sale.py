"""From paid to sent to returned in a real browser: a customer, a clerk of the warehouse, and
somebody of support, who have the rights of their group alone. `make test` goes the way once;
`make test-long` goes it on each screen, in each language, and has axe-core look at every page."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.utils.translation import gettext, override
from playwright.sync_api import expect
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import GoodsReturn, Invoice, Order, Shipment
from payments.models import Refund
from tests.admin.conftest import staff_groups
from tests.browser.conftest import Visit
from tests.browser.screenshots import AXE, violations_of
from tests.browser.test_pages import TOO_WIDE
from tests.browser.visitor import Visitor, heading
from tests.support.long import at_length
from tests.support.mailer import send_mails
from tests.support.rules import delivery_method, tax_rate
from tests.support.sellers import SELLER
from tests.support.till import Till

__all__ = ["staff_groups"]  # a fixture

PASSWORD = "a long one for the desk"
METHOD = "Parcel with a signature"
TRACKED = "https://carrier.example/parcels/{number}"
NUMBER, SECOND_NUMBER = "RR 123 456 785 IE", "00340434161094042557"

# A folder, to look at every page as it was.
PICTURES: Path | None = None

WIDTHS = {"desktop": 1280, "phone": 360}
LOCALES = {"english": "en-IE", "german": "de-DE"}
CASES = [f"{device}-{language}" for device in WIDTHS for language in LOCALES]

# Of the admin: links that colour alone tells from the words around them, and tables that a keyboard
# cannot move sideways.
DJANGOS_OWN = """() => {
  document.querySelector("#container .breadcrumbs")?.remove();
  document.querySelectorAll(".inline-group").forEach(group => { group.tabIndex = 0 });
}"""


class Somebody:
    """At a browser of their own, who looks at each page before they go on."""

    def __init__(self, visitor: Visitor, who: str, language: str, *, by_axe: bool) -> None:
        self.visitor, self.page, self.who, self.language = visitor, visitor.page, who, language
        self.by_axe = by_axe
        self.found: list[str] = []

    def words(self, english: str) -> str:
        with override(self.language):
            return gettext(english)

    def press(self, english: str) -> None:
        self.page.get_by_role("button", name=self.words(english)).click()

    def follow(self, english: str) -> None:
        self.page.get_by_role("link", name=self.words(english)).click()

    def look(self, name: str, title: str = "") -> None:
        """The page of this title fits, and breaks no rule of axe-core where that is asked."""
        page, name = self.page, f"{self.who}-{name}"
        expect(page).to_have_title(re.compile(self.words(title) if title else "."))
        page.wait_for_load_state()
        if PICTURES:
            page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
        self.found += self.visitor.problems
        self.visitor.problems.clear()
        if page.evaluate(TOO_WIDE) > 0:
            self.found.append(f"{name}: scrolls sideways")
        if not (self.by_axe and AXE.exists()):
            return
        page.evaluate(DJANGOS_OWN)
        self.found += violations_of(page, name)
        self.visitor.problems.clear()  # axe-core tries styles of its own, which the policy refuses

    def print(self, name: str) -> int:
        """How many sheets it is on paper."""
        paper = self.page.pdf(format="A4", print_background=False)
        if PICTURES:
            (PICTURES / f"{self.who}-{name}.pdf").write_bytes(paper)
        return len(re.findall(rb"/Type\s*/Page\b", paper))


def staff(visit: Visit, group: str, width: int, *, by_axe: bool) -> Somebody:
    """Signs in by the form, with the rights of one group alone."""
    name = group.lower()
    user = User.objects.create_user(name, password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    somebody = Somebody(visit(width=width), f"{name}-{width}", "en", by_axe=by_axe)
    page = somebody.page
    page.goto("/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    return somebody


@pytest.fixture
def shop(shelf: list[Product], settings: Settings) -> None:
    """It says who sells, asks for tax, and has a carrier that shows where a parcel is."""
    settings.SELLER = SELLER
    tax_rate("IE", "23")
    delivery_method(METHOD, {"": 490}, tracking_address=TRACKED)


def buy(customer: Somebody, till: Till) -> Order:
    """Two of one notebook and one of another."""
    page = customer.page
    for slug, quantity in [("notebook-01", "2"), ("notebook-02", "1")]:
        page.goto(f"/products/{slug}/")
        page.locator("[name=quantity]").fill(quantity)
        customer.press("Add to cart")
    customer.follow("Go to checkout")
    customer.visitor.type_in(page)
    customer.press("Update total")
    customer.press("Place order")
    customer.visitor.arrive(page)
    till.deliver_messages()
    send_mails()
    page.reload()
    expect(heading(page)).to_have_text(customer.words("Thank you, your order is paid"))
    customer.look("paid")
    return Order.objects.get()


def send_a_part(clerk: Somebody, order: Order) -> None:
    """With a double click, which is one parcel."""
    page = clerk.page
    page.get_by_role("link", name="1 order to send").click()
    expect(page.get_by_role("link", name=order.number)).to_be_visible()
    clerk.look("to-send")
    page.get_by_role("link", name="Pick list of the first 20").click()
    expect(heading(page)).to_have_text("Pick list: 3 pieces for 1 order")
    clerk.look("pick-list")
    assert clerk.print("pick-list") == 1
    page.get_by_role("link", name="All orders to send").click()
    page.get_by_role("link", name="Packing slips of the first 20").click()
    clerk.look("packing-slip", "Packing slips")
    assert clerk.print("packing-slip") == 1

    page.get_by_role("link", name="All orders to send").click()
    page.get_by_role("link", name=order.number).click()
    page.get_by_label("Notebook 01 (SKU-01)").fill("1")
    page.get_by_label("Notebook 02 (SKU-02)").fill("0")
    page.get_by_label("Tracking number").fill(NUMBER)
    clerk.look("ship")
    page.get_by_role("button", name="Sent", exact=True).dblclick()
    expect(page.locator(".parcels li")).to_have_count(1)
    clerk.look("shipped")
    assert Shipment.objects.count() == 1


def send_the_rest(clerk: Somebody) -> None:
    page = clerk.page
    page.get_by_label("Tracking number").fill(SECOND_NUMBER)
    page.get_by_role("button", name="Sent", exact=True).click()
    expect(page.get_by_text("Nothing of this order is left to be sent.")).to_be_visible()
    clerk.look("shipped-all")


def see_parcels(customer: Somebody, headline: str, *numbers: str) -> None:
    """On the page, and in a mail for each parcel."""
    page = customer.page
    send_mails()
    page.reload()
    expect(heading(page)).to_have_text(customer.words(headline))
    parcels = page.get_by_role("region", name=customer.words("Parcels"))
    for number in numbers:
        link = TRACKED.format(number=number.replace(" ", "%20"))
        expect(parcels.get_by_role("link", name=number)).to_have_attribute("href", link)
        assert len([each for each in mail.outbox if link in str(each.body)]) == 1
    customer.look(f"sent-{len(numbers)}")


def withdraw(customer: Somebody, order: Order) -> None:
    page = customer.page
    customer.follow("Withdraw from this contract here")
    expect(page.locator("[name=number]")).to_have_value(order.number)
    page.locator("[name=full_name]").fill(order.full_name)
    page.locator("[name=email]").fill(order.email)
    customer.look("withdrawal")
    customer.press("Go on to confirm")
    customer.look("withdrawal-confirm", "Confirm your withdrawal")
    customer.press("Confirm withdrawal")
    expect(heading(page)).to_have_text(customer.words("We have received your withdrawal"))
    customer.look("withdrawal-received")
    send_mails()


def decide_and_take_back(support: Somebody, order: Order) -> None:
    """Agree, take all in of which two pieces can be sold again, and send all of the money back."""
    page = support.page
    page.get_by_role("link", name="Withdrawals").last.click()
    support.look("withdrawals", "Select withdrawal")
    page.locator("#result_list tbody th a").click()
    support.look("withdrawal", "View withdrawal")
    page.get_by_role("link", name="Decide about the withdrawal").click()
    page.get_by_label("Agree, and send the money back when the goods have come in").check()
    page.get_by_role("textbox", name="Reason").fill("Within fourteen days")
    support.look("decide")
    page.get_by_role("button", name="Decide").click()
    expect(page.get_by_text("Agreed.")).to_be_visible()
    send_mails()

    page.get_by_role("link", name=order.number).first.click()
    support.look("order", "View order")
    page.get_by_role("link", name="Take a return in").click()
    page.get_by_label("Notebook 01 (SKU-01)").first.fill("2")
    page.get_by_label("On sale again: Notebook 01").fill("1")
    page.get_by_label("Notebook 02 (SKU-02)").first.fill("1")
    page.get_by_label("On sale again: Notebook 02").fill("1")
    page.get_by_role("textbox", name="Reason").fill("It came back, one cover is bent")
    support.look("return")
    page.get_by_role("button", name="Take a return in").dblclick()
    expect(page.get_by_text("The return is taken in.")).to_be_visible()
    assert GoodsReturn.objects.count() == 1


def refund_by_lines(support: Somebody, order: Order) -> None:
    page = support.page
    page.get_by_role("link", name=re.compile("Send the price of pieces back")).click()
    page.get_by_label("Notebook 01 (SKU-01)").fill("2")
    page.get_by_label("Notebook 02 (SKU-02)").fill("1")
    page.get_by_label("Delivery").check()
    page.get_by_role("textbox", name="Reason").fill("Withdrawal")
    support.look("refund")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_contain_text("€34.94 will be sent back")
    support.look("refund-shown")
    page.get_by_role("button", name="Send €34.94 back").dblclick()
    told = re.compile("A refund of €34.94 was asked for|€34.94 will be sent back")
    expect(page.get_by_text(told)).to_be_visible()
    support.look("refunded", "View order")
    assert Refund.objects.count() == 1


def see_returned(customer: Somebody, order: Order) -> None:
    send_mails()
    customer.page.goto(f"/orders/{order.reference}/")
    expect(heading(customer.page)).to_have_text(customer.words("Your return has arrived"))
    customer.look("returned")


def see_refunded(customer: Somebody) -> None:
    """And open invoice and credit note, as a page and as PDF."""
    page = customer.page
    send_mails()
    page.reload()
    expect(heading(page)).to_have_text(customer.words("Your payment was refunded"))
    customer.look("refunded")
    address = page.url
    for invoice in Invoice.objects.order_by("id"):
        page.get_by_role("link", name=invoice.number).click()
        customer.look(invoice.kind, "Credit note" if invoice.is_credit_note else "Invoice")
        assert customer.print(invoice.kind) == 1
        pdf = page.request.get(page.url.rstrip("/") + ".pdf")
        assert (pdf.status, pdf.body()[:5]) == (200, b"%PDF-")
        if PICTURES:
            (PICTURES / f"{customer.who}-{invoice.kind}-own.pdf").write_bytes(pdf.body())
        page.goto(address)
    assert [each.kind for each in Invoice.objects.order_by("id")] == ["invoice", "credit_note"]


@pytest.mark.usefixtures("shop", "staff_groups")
@pytest.mark.parametrize(
    ("case", "by_axe"), [("desktop-english", False), *at_length(*((each, True) for each in CASES))]
)
def test_from_paid_to_sent_to_returned(visit: Visit, till: Till, case: str, by_axe: bool) -> None:
    device, language = case.split("-")
    width, locale = WIDTHS[device], LOCALES[language]
    visitor = visit(width=width, locale=locale)
    customer = Somebody(visitor, f"customer-{case}", locale[:2], by_axe=by_axe)

    order = buy(customer, till)
    clerk = staff(visit, "Warehouse", width, by_axe=by_axe)
    send_a_part(clerk, order)
    see_parcels(customer, "Part of your order was sent", NUMBER)
    send_the_rest(clerk)
    see_parcels(customer, "Your order was sent", NUMBER, SECOND_NUMBER)
    withdraw(customer, order)
    support = staff(visit, "support", width, by_axe=by_axe)
    decide_and_take_back(support, order)
    see_returned(customer, order)
    refund_by_lines(support, order)
    till.deliver_messages()
    see_refunded(customer)

    found = [*customer.found, *clerk.found, *support.found]
    assert not found, "\n".join(found)
    order.refresh_from_db()
    assert (order.status, order.dispatch_status) == ("refunded", "returned")
    assert [line.put_back for line in order.lines.order_by("sku")] == [1, 1]
    assert len(till.charges()) == 1
