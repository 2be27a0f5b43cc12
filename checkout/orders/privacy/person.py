"""Whose an order is: by the address in the order, or by the account that placed it."""

import json
from typing import Any

from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q, QuerySet

from checkout.orders.mail.address import has_address, one_spelling
from checkout.orders.models import Order
from checkout.orders.privacy.parts import PARTS_OF_ORDERS, PARTS_OF_PEOPLE, columns
from checkout.runtime.clock import database_now

# What the document cannot hold, said in the document.
NOT_HERE = [
    "Carts and sessions: they name no address, so nobody can tell whose they are. They end by "
    "themselves after some weeks.",
    "What the gateway holds: cards, charges and refunds. Look there by the ids of the payments.",
    "Copies of the database, and e-mails that were delivered.",
    "The names of staff, which are the data of other people.",
]


def accounts_of(email: str) -> QuerySet[User]:
    """The accounts of an address: customers sign in with it."""
    address = one_spelling(email)
    return User.objects.filter(has_address(address) | Q(username__iexact=address))


def orders_of(email: str) -> QuerySet[Order]:
    """All orders of a person, the oldest first. An erased one is nobody's any more."""
    accounts = list(accounts_of(email).values_list("pk", flat=True))
    theirs = has_address(email) | Q(customer__in=accounts)
    return Order.objects.filter(theirs, erased_at=None).order_by("pk")


def export_person(email: str) -> dict[str, Any]:
    address = one_spelling(email)
    orders = [
        columns(order) | {name: part.export(order) for name, part in PARTS_OF_ORDERS.items()}
        for order in orders_of(address)
    ]
    beside = {name: part.export(address) for name, part in PARTS_OF_PEOPLE.items()}
    document = {
        "email": address,
        "exported_at": database_now(),
        "orders": orders,
        **beside,
        "not_in_this_document": NOT_HERE,
    }
    # Amounts, ids and times are all texts or numbers in the document, as in JSON.
    plain: dict[str, Any] = json.loads(json.dumps(document, cls=DjangoJSONEncoder))
    return plain


def is_empty(document: dict[str, Any]) -> bool:
    return not any(document[name] for name in ("orders", *PARTS_OF_PEOPLE))


def named_in(text: str, document: dict[str, Any]) -> bool:
    """Whether a text that is kept names the person of the document."""
    names = {document["email"], *(order["full_name"] for order in document["orders"])}
    return any(name and name.casefold() in text.casefold() for name in names)
