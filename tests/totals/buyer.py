"""A shopper who changes their mind between the page and the press, and the page as it was read."""

import random
import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import urlencode

from django.conf import settings
from django.core import signing
from django.urls import reverse

from checkout.cart import add_to_cart
from checkout.catalogue.models import DeliveryMethod, Product
from checkout.catalogue.money import minor_units
from checkout.orders.models import Order
from checkout.tokens import SALT
from tests.support.shopper import Answer, InProcess, read_form
from tests.totals.staff import CODES, PRODUCTS
from tests.totals.sums import assert_total_is_its_parts

# Countries, with an address that each of them takes.
ADDRESSES = [
    {"country": "DE", "region": "", "postcode": "10115", "city": "Berlin"},
    {"country": "IE", "region": "", "postcode": "D02 X285", "city": "Dublin"},
    {"country": "US", "region": "CA", "postcode": "94043", "city": "Mountain View"},
    {"country": "US", "region": "NY", "postcode": "10118", "city": "New York"},
    {"country": "FR", "region": "", "postcode": "75001", "city": "Paris"},
]

TOTAL = re.compile(r'<p class="total"><span>[^<]*</span> <strong>([^<]*)</strong>')
WHY = re.compile(r'<p class="field-error"[^>]*>([^<]*)<|notice-problem"[^>]*>\s*<h2>([^<]*)<')
PART = re.compile(r'<p class="part"><span>[^<]*</span> <span>([^<]*)</span></p>')
BUTTON = re.compile(r'<button class="button button-large"[^>]*>[^<]*?(?:— ([^<]*))?</button>')
METHOD = re.compile(r'name="delivery_method" value="([^"]*)" checked')
TOKEN = re.compile(r'<input type="hidden" name="token" value="([^"]*)"')


@dataclass(frozen=True)
class Page:
    """What a shopper sees of a checkout page, or of the part of it that was fetched."""

    text: str

    @property
    def token(self) -> str:
        found = TOKEN.search(self.text)
        return found[1] if found else ""

    @property
    def method(self) -> str:
        """The way of delivery that is checked."""
        found = METHOD.search(self.text)
        return found[1] if found else ""

    @property
    def total_minor(self) -> int:
        """The total in the summary, which the button and the token say too."""
        shown = TOTAL.search(self.text)
        assert shown, self.text
        total = read_amount(shown[1])
        parts = [read_amount(amount) for amount in PART.findall(self.text)]
        assert not parts or sum(parts) == total
        on_button = BUTTON.search(self.text)
        assert on_button is None or read_amount(on_button[1]) == total
        assert self.content[3] == total
        return total

    @property
    def why(self) -> str:
        """Why the page was shown again, in its own words."""
        said = {" ".join(words).strip() for words in WHY.findall(self.text)}
        return " / ".join(sorted(said))

    @property
    def checkout_id(self) -> str:
        return str(self.content[0])

    @property
    def content(self) -> list[object]:
        """What the token says: checkout id, nonce, the cart's version, total, currency, …"""
        content: list[object] = signing.loads(self.token, salt=SALT)
        return content


def read_amount(shown: str) -> int:
    """`-€1,234.50` is -123450."""
    digits = re.sub(r"[^\d.]", "", shown)
    amount = minor_units(Decimal(digits), settings.SHOP_CURRENCY)
    return -amount if shown.strip().startswith(("-", "−")) else amount


class AsBrowsersSend(InProcess):
    """Forms are sent URL-encoded, which takes less time than the parts of Django's client."""

    def post(self, path: str, data: dict[str, str]) -> Answer:
        return self._answer(self.client.post(path, urlencode(data), content_type=URL_ENCODED))


URL_ENCODED = "application/x-www-form-urlencoded"


@dataclass
class Buyer:
    chance: random.Random
    web: InProcess = field(default_factory=AsBrowsersSend)
    page: Page | None = None
    form: dict[str, str] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)  # why, in the page's words
    visits: int = 0

    def open_page(self) -> Page:
        """The page as it was last shown, or one that is opened or fetched now."""
        if self.page is None:
            self._fill_cart()
        elif self.chance.random() < 0.7:
            self._look()
            return self.page
        if not self.form or self.chance.random() < 0.1:
            text = self.web.get("/checkout/").text
            self.form = read_form(text, "/checkout/") | self.form
        elif self.chance.random() < 0.1:
            text = self.web.post("/checkout/", self.form | {"update_total": "1"}).text
        else:
            text = self.web.post("/checkout/total/", self.form).text
        self.page = Page(text)
        self._look()
        return self.page

    def _look(self) -> None:
        """Send what is checked on the page, as browsers do, and leave out a code that is refused;
        mostly."""
        assert self.page
        if self.chance.random() < 0.9:
            self.form["delivery_method"] = self.page.method
        if self.chance.random() < 0.9 and "id_code_error" in self.page.text:
            self.form["code"] = ""

    def _fill_cart(self) -> None:
        if not self.form:  # the first visit, which makes the session
            form = read_form(self.web.get("/").text, "/cart/add/")
            self.web.post("/cart/add/", form | {"sku": "T-0", "quantity": "1"})
            self.form["csrfmiddlewaretoken"] = form["csrfmiddlewaretoken"]
        session = self.web.client.session
        for number in self.chance.sample(range(PRODUCTS), self.chance.choice([1, 1, 2, 3])):
            product = Product.objects.get(sku=f"T-{number}")
            add_to_cart(session, product, self.chance.randint(1, 3), visit=f"visit {self.visits}")
        session.save()
        self.visits += 1
        self.form |= {
            "email": f"buyer-{self.visits}-{self.chance.randrange(10**9)}@example.com",
            "full_name": "Ada Quillfeather",
            "address": "12 Inkwell Lane",
            "payment_method": "pm_card_visa",
            "phone": self.chance.choice(["", "+353 1 555 0199", "+353 1 555 0199"]),
            "code": self.chance.choice(["", *CODES]),
            **ADDRESSES[0],
        }

    def change_mind(self) -> None:
        """Type another country, method or code, or none of them."""
        if self.chance.random() < 0.25:
            self.form |= self.chance.choice(ADDRESSES)
        if self.chance.random() < 0.2:
            ids = map(str, DeliveryMethod.objects.order_by("pk").values_list("pk", flat=True))
            self.form["delivery_method"] = self.chance.choice(["", "999999999", *ids, *ids, *ids])
        if self.chance.random() < 0.25:
            code = self.chance.choice(["", "", "GUESS", *CODES, *CODES, *CODES])
            self.form["code"] = self.chance.choice([code, code.lower()])

    def press(self) -> tuple[Page, Order | None]:
        """The page that was submitted, and the order that came of it."""
        submitted = self.page
        assert submitted
        answer = self.web.post("/checkout/", self.form | {"token": submitted.token})
        order = self._order_of(answer, submitted)
        if order is None:
            self.page = Page(answer.text) if Page(answer.text).token else None
        else:
            self.page = None
        return submitted, order

    def _order_of(self, answer: Answer, submitted: Page) -> Order | None:
        found = Order.objects.filter(checkout_id=submitted.checkout_id).first()
        if answer.status in {409, 422}:
            assert found is None, "refused, and stored all the same"
            self.refused[Page(answer.text).why] += 1
            return None
        assert answer.status == 303, (answer.status, answer.words)
        assert found
        assert answer.location == reverse("order", args=[found.reference])
        return found

    def press_again(self, submitted: Page, order: Order) -> None:
        """A second press of the same page, with other choices, changes nothing."""
        self.change_mind()
        self.web.post("/checkout/", self.form | {"token": submitted.token})
        again = Order.objects.get(checkout_id=order.checkout_id)
        assert (again.pk, again.total_minor) == (order.pk, order.total_minor)
        assert_total_is_its_parts(again)
