"""The parts of a total, in the words that page, mail, admin and files have in common."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.utils.formats import localize
from django.utils.translation import gettext as _
from django.utils.translation import override
from moneyed import Money

from checkout.catalogue.money import money, show_money
from checkout.orders.models import Order
from checkout.quotes.quote import Quote

# Countries that tax sales, and not the value that is added.
WITHOUT_VAT = {"US"}


@dataclass(frozen=True, kw_only=True)
class TaxPart:
    percent: Decimal
    net_minor: int
    tax_minor: int


@dataclass(frozen=True, kw_only=True)
class PartRow:
    """One line of a sum: what it is, and how much."""

    name: str  # of the part, in words for programs: goods, discount, delivery or tax
    label: str
    amount: Money


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a total is made of, of a quote or of an order. Amounts are minor units."""

    currency: str
    goods_minor: int
    discount_minor: int = 0
    code: str = ""
    delivery_minor: int = 0
    delivery_name: str = ""  # empty: nothing is delivered, or there was nothing to choose
    taxes: Sequence[TaxPart] = ()
    prices_include_tax: bool = True
    taxed_in: str = ""  # the country whose rates counted
    total_minor: int

    @classmethod
    def of_order(cls, order: Order) -> "Parts":
        """An order of a release that knew no parts is goods alone."""
        return cls(
            currency=order.currency,
            goods_minor=order.total_minor if order.goods_minor is None else order.goods_minor,
            discount_minor=order.discount_minor,
            code=order.discount_code,
            delivery_minor=order.delivery_minor,
            delivery_name=order.delivery_name,
            taxes=[
                TaxPart(
                    percent=Decimal(tax["percent"]),
                    net_minor=tax["net_minor"],
                    tax_minor=tax["tax_minor"],
                )
                for tax in order.taxes
            ],
            prices_include_tax=order.prices_include_tax,
            taxed_in=order.country if settings.TAX_BY == "destination" else settings.SHOP_COUNTRY,
            total_minor=order.total_minor,
        )

    @classmethod
    def of_quote(cls, quote: Quote) -> "Parts":
        return cls(
            currency=quote.currency,
            goods_minor=quote.goods_minor,
            discount_minor=quote.discount_minor,
            code=quote.code.code if quote.code else "",
            delivery_minor=quote.delivery_minor,
            delivery_name=quote.delivery.method.name if quote.delivery else "",
            taxes=[
                TaxPart(percent=tax.percent, net_minor=tax.net_minor, tax_minor=tax.tax_minor)
                for tax in quote.taxes
            ],
            prices_include_tax=quote.prices_include_tax,
            taxed_in=quote.taxed_in,
            total_minor=quote.total_minor,
        )

    @property
    def tax_minor(self) -> int:
        """The tax of all rates, contained in the other parts or added to them."""
        return sum(tax.tax_minor for tax in self.taxes)

    @property
    def total(self) -> Money:
        return money(self.total_minor, self.currency)

    @property
    def has_delivery(self) -> bool:
        return bool(self.delivery_name or self.delivery_minor)

    @property
    def rows_above(self) -> list[PartRow]:
        """What adds up to the total. Empty where the goods are all of it."""
        rows = list(self._rows_above())
        return rows if len(rows) > 1 else []

    @property
    def rows_below(self) -> list[PartRow]:
        """The tax that the total contains."""
        if not self.prices_include_tax:
            return []
        has_no_vat = self.taxed_in in WITHOUT_VAT
        words = (
            _("Includes %(percent)s %% sales tax")
            if has_no_vat
            else _("Includes %(percent)s %% VAT")
        )
        return self._tax_rows(words)

    def _rows_above(self) -> Iterator[PartRow]:
        yield self._row("goods", _("Goods"), self.goods_minor)
        if self.discount_minor or (self.code and not self._is_free_by_code):
            label = _("Discount (%(code)s)") % {"code": self.code} if self.code else _("Discount")
            yield self._row("discount", label, -self.discount_minor)
        if self.has_delivery:
            yield self._row("delivery", self._delivery_label, self.delivery_minor)
        if not self.prices_include_tax:
            has_no_vat = self.taxed_in in WITHOUT_VAT
            yield from self._tax_rows(
                _("%(percent)s %% sales tax") if has_no_vat else _("%(percent)s %% VAT")
            )

    @property
    def _is_free_by_code(self) -> bool:
        """A code of free delivery takes nothing off the goods."""
        has_free_delivery = bool(self.delivery_name and not self.delivery_minor)
        return bool(self.code and not self.discount_minor and has_free_delivery)

    @property
    def _delivery_label(self) -> str:
        """There is no colon in it: one stands between a label and its amount in plain text."""
        if self._is_free_by_code:
            words = _("Delivery (%(name)s, free by the code %(code)s)")
        else:
            words = _("Delivery (%(name)s)") if self.delivery_name else _("Delivery")
        return words % {"name": self.delivery_name, "code": self.code}

    def _tax_rows(self, words: str) -> list[PartRow]:
        return [
            self._row("tax", words % {"percent": localize(tax.percent.normalize())}, tax.tax_minor)
            for tax in self.taxes
        ]

    def _row(self, name: str, label: str, amount_minor: int) -> PartRow:
        return PartRow(name=name, label=label, amount=money(amount_minor, self.currency))


def parts_for_staff(order: Order) -> list[str]:
    """The parts of an order's total in the words of the admin, which are English; amounts are in
    the language of the request, as all amounts there. Empty where the total is goods alone."""
    parts = Parts.of_order(order)
    with override("en"):
        rows = [*parts.rows_above, *parts.rows_below]
    return [f"{row.label}: {show_money(row.amount)}" for row in rows]
