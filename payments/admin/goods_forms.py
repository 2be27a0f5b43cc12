"""What the pages ask on which staff say what becomes of an order's goods."""

from collections.abc import Callable
from typing import Any

from django import forms

from checkout.orders.admin.reason import ReasonForm
from checkout.orders.dispatch.put_back import can_go_on_sale
from checkout.orders.dispatch.returns import ReturnedPieces, may_come_back
from checkout.orders.models import Order, OrderLine
from checkout.user_input.whole_numbers import WholeNumberField
from payments.models import new_key

# More than any order has of one product.
MOST_PIECES = 9_999_999

# What somebody reads who pressed twice: of the first answer their browser shows nothing.
SENT_TWICE = "This page was sent more than once; nothing was added by that."


class PiecesField(WholeNumberField):
    def __init__(self, line: OrderLine, *, label: str, help_text: str) -> None:
        super().__init__(
            label=f"{label}{line.name} ({line.sku})",
            min_value=0,
            max_value=MOST_PIECES,
            initial=0,
            required=False,
            help_text=help_text,
        )


class KeyedForm(ReasonForm):
    # The key is made with the page: the same page sent twice does its act once.
    key = forms.RegexField(r"^[\w-]{32}$", widget=forms.HiddenInput, initial=new_key)

    def lines_with(self, order: Order, count: Callable[[OrderLine], int]) -> list[OrderLine]:
        """The lines that the page asks about. The act judges how many pieces there may be: a page
        that is sent twice finds fewer than it showed."""
        return [line for line in order.lines.all() if self.is_bound or count(line)]

    def reason_last(self) -> None:
        self.order_fields([name for name in self.fields if name != "why"])


class RestockForm(KeyedForm):
    def __init__(self, *args: Any, order: Order, **kwargs: Any) -> None:
        super().__init__(*args, order=order, **kwargs)
        self.lines = self.lines_with(order, can_go_on_sale)
        for line in self.lines:
            self.fields[f"pieces_{line.pk}"] = PiecesField(
                line,
                label="",
                help_text=f"How many go on sale again, of {can_go_on_sale(line)} that are here.",
            )
        self.reason_last()

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        pieces = {line.pk: typed.pop(f"pieces_{line.pk}", 0) or 0 for line in self.lines}
        return typed | {"quantities": pieces}


class ReturnForm(KeyedForm):
    def __init__(self, *args: Any, order: Order, **kwargs: Any) -> None:
        super().__init__(*args, order=order, **kwargs)
        self.lines = self.lines_with(order, lambda line: may_come_back(order, line))
        for line in self.lines:
            self.fields[f"pieces_{line.pk}"] = PiecesField(
                line,
                label="",
                help_text=f"How many came back, of {may_come_back(order, line)} that were sent.",
            )
            self.fields[f"restock_{line.pk}"] = PiecesField(
                line,
                label="On sale again: ",
                help_text="How many of those that came back can be sold again.",
            )
        self.reason_last()

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        quantities = {}
        for line in self.lines:
            pieces, on_sale = (typed.pop(f"{n}_{line.pk}", 0) or 0 for n in ("pieces", "restock"))
            if on_sale > pieces:
                self.add_error(f"restock_{line.pk}", "No more than came back.")
            quantities[line.pk] = ReturnedPieces(pieces, on_sale)
        return typed | {"quantities": quantities}
