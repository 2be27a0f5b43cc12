"""A shopper who uses the pages as a browser does: reads forms, sends fields, keeps cookies."""

import re
import secrets
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Protocol

import requests

if TYPE_CHECKING:
    from checkout.orders.models import Order

TYPED = {
    "email": "ada@example.com",
    "full_name": "Ada Quillfeather",
    "address": "12 Inkwell Lane",
    "city": "Cork",
    "postcode": "T12 ABC1",
    "country": "IE",
    "payment_method": "pm_card_visa",
}


# What the total depends on, beside the country.
CHOSEN = {"delivery_method", "code"}


def somebody_else() -> dict[str, str]:
    """Another customer: the same one would be asked whether this is the same purchase."""
    return TYPED | {"email": f"{secrets.token_hex(6)}@example.com"}


@dataclass(frozen=True)
class Answer:
    status: int
    location: str
    text: str

    @property
    def words(self) -> str:
        """What the page says, without its markup."""
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", self.text)))


class Transport(Protocol):
    def get(self, path: str) -> Answer: ...
    def post(self, path: str, data: dict[str, str]) -> Answer: ...


class OverHttp:
    """Real sockets to a real server."""

    def __init__(self, base_url: str, timeout_seconds: float = 60) -> None:
        self.base_url = base_url
        self.timeout_seconds = timeout_seconds
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy, and no file read for each request

    def same_browser_at(self, base_url: str) -> "OverHttp":
        """Another connection with the same cookies, as a browser opens for a second press."""
        other = OverHttp(base_url, self.timeout_seconds)
        other.session.cookies.update(self.session.cookies)
        return other

    def get(self, path: str) -> Answer:
        return self._answer(
            self.session.get(
                self.base_url + path, timeout=self.timeout_seconds, allow_redirects=False
            )
        )

    def post(self, path: str, data: dict[str, str]) -> Answer:
        return self._answer(
            self.session.post(
                self.base_url + path,
                data=data,
                timeout=self.timeout_seconds,
                allow_redirects=False,
            )
        )

    def _answer(self, response: requests.Response) -> Answer:
        return Answer(response.status_code, response.headers.get("Location", ""), response.text)


FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.DOTALL)


class _Fields(HTMLParser):
    """The fields of a form, as a browser would send them back."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._select = ""
        self._textarea = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        name = attributes.get("name", "")
        if tag == "input" and name:
            kind = attributes.get("type", "text")
            is_box = kind in {"radio", "checkbox"}
            if not is_box or "checked" in attributes:
                self.fields[name] = attributes.get("value", "on" if is_box else "")
        elif tag == "select":
            self._select = name
        elif tag == "textarea":
            self._textarea, self.fields[name] = name, ""
        elif tag == "option" and self._select and "selected" in attributes:
            self.fields[self._select] = attributes.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._textarea = ""

    def handle_data(self, data: str) -> None:
        if name := self._textarea:
            before = self.fields[name]
            # The first line end is part of the markup.
            self.fields[name] = before + data if before else data.removeprefix("\n")


def read_form(page: str, action: str) -> dict[str, str]:
    """The fields of the form that has this action, if there is one. Nothing else is parsed."""
    parser = _Fields()
    for attributes, inside in FORM.findall(page):
        if f'action="{action}"' in attributes or "action=" not in attributes:
            parser.feed(inside)
    return parser.fields


@dataclass
class Shopper:
    web: Transport
    typed: dict[str, str] = field(default_factory=lambda: dict(TYPED))

    def add_to_cart(self, sku: str, quantity: int = 1) -> Answer:
        fields = read_form(self.web.get("/").text, "/cart/add/")
        return self.web.post("/cart/add/", fields | {"sku": sku, "quantity": str(quantity)})

    def change_quantity(self, sku: str, quantity: int) -> Answer:
        fields = read_form(self.web.get("/cart/").text, "/cart/change/")
        return self.web.post("/cart/change/", fields | {"sku": sku, "quantity": str(quantity)})

    def open_checkout(self) -> dict[str, str]:
        """The form as it was rendered, filled in. What the total depends on is chosen first, so the
        form is the one that shows the total of it."""
        page = self.web.get("/checkout/")
        assert page.status == 200, page.status
        form = read_form(page.text, "/checkout/") | self.typed
        if CHOSEN.isdisjoint(self.typed):
            return form
        page = self.web.post("/checkout/", form | {"update_total": "1"})
        assert page.status == 200, page.words
        return read_form(page.text, "/checkout/") | self.typed

    def submit(self, form: dict[str, str]) -> Answer:
        return self.web.post("/checkout/", form)

    def buy(self, sku: str, quantity: int = 1) -> Answer:
        self.add_to_cart(sku, quantity)
        return self.submit(self.open_checkout())

    def look(self, answer: Answer) -> Answer:
        """Follow an answer to the order's page."""
        assert answer.status == 303, (answer.status, answer.words)
        return self.web.get(answer.location)

    def open_link(self, order: "Order") -> Answer:
        """The link in an e-mail about the order, to its page."""
        from checkout.orders.links import link_path  # the drill's crowd needs no settings

        return self.look(self.web.get(link_path(order)))

    def pay_again(self, location: str, payment_method: str, *, gateway: str = "") -> Answer:
        action = f"{location}pay/"
        fields = read_form(self.web.get(location).text, action)
        fields |= {"gateway": gateway} if gateway else {}
        return self.web.post(action, fields | {"payment_method": payment_method})
