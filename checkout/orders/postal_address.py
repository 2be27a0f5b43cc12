"""The addresses of an order as lines, which page, mails and admin show alike."""

from collections.abc import Mapping

from checkout.orders.models import Order
from checkout.user_input.addresses import in_postal_order
from checkout.user_input.countries import country_name

# The columns of an order that make its address, which are the keys of its `billing`, too.
FIELDS = (
    *("full_name", "company", "address", "address2"),
    *("postcode", "city", "region", "country"),
)


def postal_lines(order: Order) -> list[str]:
    """Where the parcel goes. The country is named in the reader's language."""
    return lines_of({name: getattr(order, name) for name in FIELDS})


def billing_lines(order: Order) -> list[str]:
    """Where the bill goes. Empty: to the same address as the parcel."""
    return lines_of(order.billing) if order.billing else []


def lines_of(parts: Mapping[str, str]) -> list[str]:
    """The lines of an address by the names of its parts."""
    country = parts.get("country", "")
    lines = in_postal_order(country, parts)
    return [line for line in (*lines, country and country_name(country)) if line]
