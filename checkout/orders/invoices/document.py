"""An invoice or credit note as it is read: the same for the page and for the PDF, in the language
of its order, and made from what was frozen alone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils.formats import date_format, localize
from django.utils.translation import gettext as _
from django.utils.translation import override

from checkout.catalogue.money import money, show_money
from checkout.orders.models import Invoice
from checkout.orders.money.parts import WITHOUT_VAT, Parts, TaxPart
from checkout.orders.postal_address import lines_of

# VAT ids of the EU and Great Britain begin with a country; other tax numbers do not.
VAT_ID = re.compile(r"[A-Z]{2} ?\w")


@dataclass(frozen=True, kw_only=True)
class Line:
    name: str
    sku: str
    quantity: str
    unit_price: str
    tax: str  # the rate, empty where none was worked out
    total: str


@dataclass(frozen=True, kw_only=True)
class TaxRow:
    rate: str
    net: str
    tax: str
    gross: str


@dataclass(frozen=True, kw_only=True)
class Document:
    """Everything is text that is ready to be printed."""

    language: str
    title: str
    number: str
    seller: list[str]
    legal: list[str]  # what the law asks the seller to say of themselves
    buyer: list[str]
    buyer_tax_id: str
    facts: list[tuple[str, str]]
    lines: list[Line]
    sums: list[tuple[str, str]]  # what adds up to the total
    total_label: str
    total: str
    taxes: list[TaxRow]
    tax_word: str
    closing: str


def document_of(invoice: Invoice) -> Document:
    with override(invoice.content["language"]):
        return _document(invoice, invoice.content)


def _document(invoice: Invoice, content: dict[str, Any]) -> Document:
    is_credit, seller = invoice.is_credit_note, content["seller"]
    has_no_vat = content["taxed_in"] in WITHOUT_VAT
    return Document(
        language=content["language"],
        title=_("Credit note") if is_credit else _("Invoice"),
        number=invoice.number,
        seller=[seller["name"], *seller["address"]],
        legal=list(_legal(seller)),
        buyer=lines_of(content["buyer"]),
        buyer_tax_id=content["buyer"]["vat_id"],
        facts=list(_facts(invoice, content)),
        lines=[_line(line, invoice.currency) for line in content.get("lines", [])],
        sums=[] if is_credit else _sums(content),
        total_label=_("Sent back") if is_credit else _("Total"),
        total=_shown(invoice.total_minor, invoice.currency),
        taxes=[_tax_row(tax, invoice.currency) for tax in content["taxes"]],
        tax_word=_("Sales tax") if has_no_vat else _("VAT"),
        closing=_closing(content, is_credit=is_credit),
    )


def _legal(seller: dict[str, str]) -> Iterator[str]:
    tax_id = seller["tax_id"]
    if VAT_ID.match(tax_id):
        yield _("VAT ID: %(vat_id)s") % {"vat_id": tax_id}
    else:
        yield _("Tax ID: %(tax_id)s") % {"tax_id": tax_id}
    if seller["register"]:
        yield seller["register"]
    if seller["email"]:
        yield seller["email"]


def _facts(invoice: Invoice, content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield _("Number"), invoice.number
    yield _("Date"), _day(content["issued_on"])
    yield _("Order"), content["order"]
    yield _("Ordered on"), _day(content["placed_on"])
    if corrects := content.get("corrects"):
        words = _("%(number)s of %(day)s") % {
            "number": corrects["number"],
            "day": _day(corrects["issued_on"]),
        }
        yield _("Corrects invoice"), words


def _closing(content: dict[str, Any], *, is_credit: bool) -> str:
    if is_credit:
        return _("We sent this amount back by the way it was paid.")
    words = _("Paid on %(day)s. Nothing is left to pay.")
    return words % {"day": _day(content["paid_on"])}


def _line(line: dict[str, Any], currency: str) -> Line:
    percent = line["tax_percent"]
    return Line(
        name=line["name"],
        sku=line["sku"],
        quantity=str(localize(line["quantity"])),
        unit_price=_shown(line["unit_price_minor"], currency),
        tax="" if percent is None else _percent(percent),
        total=_shown(line["total_minor"], currency),
    )


def _sums(content: dict[str, Any]) -> list[tuple[str, str]]:
    parts = Parts(
        currency=content["currency"],
        goods_minor=content["goods_minor"],
        discount_minor=content["discount"]["amount_minor"],
        code=content["discount"]["code"],
        delivery_minor=content["delivery"]["price_minor"],
        delivery_name=content["delivery"]["name"],
        taxes=[
            TaxPart(
                percent=Decimal(tax["percent"]),
                net_minor=tax["net_minor"],
                tax_minor=tax["tax_minor"],
            )
            for tax in content["taxes"]
            if tax["tax_minor"]
        ],
        prices_include_tax=content["prices_include_tax"],
        taxed_in=content["taxed_in"],
        total_minor=content["total_minor"],
    )
    return [(row.label, show_money(row.amount)) for row in parts.rows_above]


def _tax_row(tax: dict[str, Any], currency: str) -> TaxRow:
    net, of_tax = tax["net_minor"], tax["tax_minor"]
    return TaxRow(
        rate=_percent(tax["percent"]),
        net=_shown(net, currency),
        tax=_shown(of_tax, currency),
        gross=_shown(net + of_tax, currency),
    )


def _percent(percent: str) -> str:
    plain = Decimal(percent).normalize()
    # 1E+1 is how a normalized 10 is written.
    return f"{localize(plain if plain % 10 else int(plain))}\xa0%"


def _shown(amount_minor: int, currency: str) -> str:
    return show_money(money(amount_minor, currency))


def _day(day: str) -> str:
    return date_format(date.fromisoformat(day), _("j F Y"))
