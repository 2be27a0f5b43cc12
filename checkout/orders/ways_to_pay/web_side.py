"""The web side of a payment gateway: what web processes need, who never call the gateway.

Each gateway's package has a module `web` with one instance of `WebSide`, named `WEB`. The module
loads no library that calls the gateway, and no secret key.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils.functional import Promise

from checkout.catalogue.amounts import AmountLimits
from checkout.catalogue.gateways import gateway_names, part_of
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import Order


@dataclass(frozen=True, kw_only=True)
class Hint:
    """What an event of the gateway tells: something may have become of a payment. Nothing that it
    says is believed; the worker asks the gateway itself."""

    kind: str
    event_id: str = ""  # by which a repetition is known; empty where the gateway gives none
    payment_ids: tuple[str, ...] = ()  # what may be the payment's id, the likeliest first
    order: OrderIdentity = field(default_factory=OrderIdentity)
    is_about_dispute: bool = False
    is_signed: bool = True  # otherwise anybody may have sent it who knows the payment's id
    is_our_own: bool = False  # it tells only what the worker has just done itself


class BadSignature(Exception):
    """The event was not signed by the gateway with a secret of ours, or was signed too long ago."""


class BadEvent(Exception):
    """What was sent does not have the shape of an event."""


class NoEvents(Exception):
    """This gateway sends no events."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What a customer reads whose order waits for them."""

    headline: str
    before: str  # what is going on, before the sentence about money
    next: str
    facts: Sequence[tuple[str, str]] = ()  # such as the account: what it is called, and what it is
    button: str = ""  # of the link to where they pay; empty: "Continue at your bank"


class WebSide:
    """The defaults are those of a gateway that needs no field, script, return or event."""

    # What the customer chooses, as in "Card", and a sentence about it.
    title: str | Promise = ""
    hint: str | Promise = ""
    # The template of its part of the checkout form; empty where choosing it is all.
    template: str = ""
    # What a value of the form's `payment_method` looks like, which digits alone never are: they
    # could be a card's.
    method: re.Pattern[str] = re.compile(r"(?![0-9]*$)[A-Za-z0-9_]{1,120}|")
    # The value where the customer chooses nothing more. None: they have to.
    method_if_none: str | None = ""
    # Whether the customer sends the money themselves, and nothing is taken from them.
    customer_sends: bool = False
    # How often an order that waits for its customer is asked about, at the longest. None: as often
    # as any order that waits for an outcome.
    asks_every: timedelta | None = None
    # For the API's documentation, and for the purchase that `make demo` makes.
    example_method: str = ""

    def limits(self, currency: str) -> AmountLimits | None:
        """What can be charged in this currency, from a table; None when nothing can. The side that
        calls gives the same answer."""
        return AmountLimits()

    def waiting(self, order: Order) -> Waiting | None:
        """What the page and the mail say while the order waits for its customer. None: the bank
        asks them to approve the payment."""
        return None

    def is_return(self, params: Mapping[str, Any]) -> bool:
        """Whether these parameters of an order's address are those of a customer who comes back
        from the gateway or a bank."""
        return False

    def read_event(self, body: bytes, headers: Mapping[str, str], *, now: datetime) -> Hint:
        """What was sent to our address for it. Raises BadSignature, BadEvent or NoEvents."""
        raise NoEvents


def web_side(gateway: str = "") -> WebSide:
    """The web side of the gateway of this name; an empty name is the shop's first gateway. KeyError
    where the shop has none of this name."""
    web: WebSide = part_of(gateway, "web.WEB")
    return web


def web_side_of(order: Order) -> WebSide:
    """The web side of the gateway that takes the order's payment; the defaults where the shop has
    that gateway no more."""
    is_there = not order.gateway or order.gateway in gateway_names()
    return web_side(order.gateway) if is_there else WebSide()


def web_sides() -> dict[str, WebSide]:
    """The web sides by gateway, in the order in which the shop names its gateways."""
    return {name: web_side(name) for name in gateway_names()}
