"""What is to be placed: who buys what, how it is sent, and where the lines come from."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

from checkout.catalogue.models import Product
from checkout.orders.limits.limits import Visitor
from checkout.orders.models import Order
from checkout.orders.placing.quoting import Terms
from checkout.quotes.quote import Quote, Refusal
from checkout.quotes.rules import Line


@dataclass(frozen=True, kw_only=True)
class Customer:
    email: str
    full_name: str
    address: str
    city: str
    postcode: str
    country: str  # ISO 3166-1 alpha-2
    address2: str = ""
    region: str = ""
    company: str = ""
    phone: str = ""
    vat_id: str = ""
    billing: Mapping[str, str] | None = None  # an address of its own for the bill

    @classmethod
    def typed(cls, cleaned: Mapping[str, Any]) -> "Customer":
        """The customer from the data of a form or a request that was found valid."""
        return cls(
            **{field.name: cleaned[field.name] for field in fields(cls) if field.name in cleaned}
        )

    def columns(self) -> dict[str, Any]:
        """The customer as the fields of an order."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, kw_only=True)
class PurchaseLine:
    sku: str
    name: str
    line: Line

    @classmethod
    def of(cls, product: Product, quantity: int) -> "PurchaseLine":
        return cls(sku=product.sku, name=product.name, line=product.quoted_line(quantity))


@dataclass(frozen=True, kw_only=True)
class StoredBasket:
    """A basket in the database, from which one statement places.

    `lines` selects `position, product_id, quantity`, and locks what changes with them; nothing is
    selected when it is used up or not as it was seen. `use_up` closes it for `new_order`. `bought`
    was read without a lock: the statement compares it with what the lock finds.
    """

    lines: str
    use_up: str
    values: Mapping[str, Any]
    bought: Sequence[PurchaseLine]


class Basket(Protocol):
    """Where the lines of a purchase come from: a cart, or an API client's request."""

    def take(self) -> Sequence[PurchaseLine]:
        """Lock the basket, check it against what the customer saw, use it up, and return its lines.

        This runs first inside the placing transaction, so a later failure gives the basket back. It
        raises `BasketTaken` when it is used up, and an error of its own when it is not as seen.
        """

    def is_as_shown(self, total_minor: int) -> bool:
        """Whether the customer was shown this total, or takes any."""


@runtime_checkable
class InDatabase(Protocol):
    """A basket that one statement can take together with storing its order."""

    def stored(self) -> StoredBasket | None:
        """The basket for the statement, or None where only `take` can decide."""


class BasketTaken(Exception):
    """Another request has used this basket up; its order is the answer to this one too."""


class TotalChanged(Exception):
    """The purchase costs something else than its customer was shown. Nothing was stored."""

    def __init__(self, quote: Quote) -> None:
        super().__init__("The total is another one")
        self.quote = quote


class QuoteRefused(Exception):
    """The purchase cannot be had as it was asked for. Nothing was stored."""

    def __init__(self, refusals: Collection[Refusal]) -> None:
        super().__init__(", ".join(refusals))
        self.refusals = tuple(refusals)


@dataclass(frozen=True, kw_only=True)
class PlaceOrder:
    checkout_id: UUID
    customer: Customer
    gateway: str  # its name; see `ways_to_pay`
    payment_method: str
    currency: str
    content_digest: str  # see `digest`
    # Digests of the same content by the rules of earlier releases, which stored such a one.
    earlier_digests: tuple[str, ...] = ()
    delivery_method: str = ""  # the method's id; empty: the first that is offered
    takes_cheapest: bool = False  # where no method was named: the cheapest instead of the first
    code: str = ""
    customer_id: int | None = None  # the account that is signed in
    language: str = ""  # for mails to the customer; the shop's own if empty
    again_of: Order | None = None  # a similar order beside which this one is wanted as well
    # Declined payments are counted by these; see `Visitor` in limits.
    from_session: str = ""
    from_address: str = ""
    from_client: str = ""  # not stored with the order; wrong codes alone are counted by it

    @property
    def visitor(self) -> Visitor:
        return Visitor(
            session=self.from_session, address=self.from_address, client=self.from_client
        )

    @property
    def terms(self) -> Terms:
        return Terms(
            country=self.customer.country,
            region=self.customer.region,
            delivery_method=self.delivery_method,
            takes_cheapest=self.takes_cheapest,
            code=self.code,
            email=self.customer.email,
        )

    @property
    def digests(self) -> tuple[str, ...]:
        return (self.content_digest, *self.earlier_digests)


def basket_digest(quantities: Iterable[tuple[int, int]]) -> str:
    """A digest of products' ids and quantities, in any order: equal for the same products."""
    return digest({str(product_id): quantity for product_id, quantity in quantities})


def digest(content: Mapping[str, object]) -> str:
    """A digest of all that a purchase asks for, equal for a repetition that asks for the same."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
