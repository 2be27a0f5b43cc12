"""What is left to credit of an order, and the tax of that by rate."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

from django.conf import settings

from checkout.orders.models import Invoice, Order
from checkout.quotes.rounding import half_up, spread

# A percentage with the net amount and the tax of it: {"percent": "19", "net_minor": 1000, …}.
Taxes = Sequence[Mapping[str, Any]]

# What a credit note takes over from its invoice as it stands there.
KEPT = (
    *("version", "buyer", "order", "placed_on", "language", "taxed_in"),
    *("prices_include_tax", "currency"),
)


@dataclass(frozen=True, kw_only=True)
class Left:
    invoice_id: int
    amount_minor: int
    content: dict[str, Any]


def left_to_credit(order_id: int, *, issued_on: date) -> Left | None:
    """None where nothing is: the order has no invoice, or what was sent back is credited already.
    The caller holds the lock of the order."""
    issued = list(Invoice.objects.filter(order=order_id))
    invoice = next((each for each in issued if not each.is_credit_note), None)
    if invoice is None:
        return None
    notes = [each for each in issued if each.is_credit_note]
    refunded_minor = Order.objects.values_list("refunded_minor", flat=True).get(pk=order_id)
    amount_minor = refunded_minor - sum(note.total_minor for note in notes)
    if amount_minor <= 0:
        return None
    before = [note.content["taxes"] for note in notes]
    content = {name: invoice.content[name] for name in KEPT} | {
        "seller": settings.SELLER,
        "issued_on": issued_on.isoformat(),
        "corrects": {"number": invoice.number, "issued_on": invoice.content["issued_on"]},
        "taxes": credited_taxes(invoice.content["taxes"], before, amount_minor),
        "total_minor": amount_minor,
    }
    return Left(invoice_id=invoice.pk, amount_minor=amount_minor, content=content)


def credited_taxes(
    invoiced: Taxes, credited: Iterable[Taxes], amount_minor: int
) -> list[dict[str, Any]]:
    """The amount in the proportion of what is left of each rate. So the parts add up to the amount,
    and those of all credit notes to the invoice once all of it is credited."""
    left = {tax["percent"]: [tax["net_minor"], tax["tax_minor"]] for tax in invoiced}
    for tax in (tax for taxes in credited for tax in taxes):
        left[tax["percent"]][0] -= tax["net_minor"]
        left[tax["percent"]][1] -= tax["tax_minor"]
    shares = spread(amount_minor, [net + tax for net, tax in left.values()])
    parts = []
    for (percent, (net, tax)), share in zip(left.items(), shares, strict=True):
        if share:
            of_tax = half_up(Fraction(tax * share, net + tax))
            part = {"percent": percent, "net_minor": share - of_tax, "tax_minor": of_tax}
            parts.append(part)
    return parts
