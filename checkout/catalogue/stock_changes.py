"""How staff change a product's stock: they add to it, take from it, or count it.

Orders are placed meanwhile. So what is stored is always a difference, applied to the stock as it is
under the lock, and never a number that somebody read earlier.
"""

from dataclasses import dataclass

from django.db import transaction

from checkout.catalogue.models import Product, StockMovement

# This begins the explanation of a count; the words of the person who counted follow.
THERE_ARE = "There are {}"


class StockChangeRefused(Exception):
    """Nothing was changed. The message tells staff why."""


class BelowZero(StockChangeRefused):
    def __init__(self, stock: int) -> None:
        super().__init__(
            f"There are {stock} pieces that can be sold, so no more than {stock} can be taken away."
        )


class MovedSince(StockChangeRefused):
    """Pieces were sold or put back between the look at the stock and the count."""

    def __init__(self, seen: int, stock: int) -> None:
        super().__init__(
            f"This page said {seen}, and there are {stock} now: pieces were sold or put back "
            "meanwhile. Nothing was changed. Look how many there are now, and save again."
        )
        self.stock = stock


class FormUsed(StockChangeRefused):
    """The same form came with other content, as after the browser's Back."""

    def __init__(self, movement: StockMovement) -> None:
        super().__init__(
            f"This form was saved before: {movement}. That stands, and nothing was added now. "
            "Save again to record this as well."
        )


@dataclass(frozen=True, kw_only=True)
class StaffEntry:
    """Who changes which product's stock, and why. Two entries with one key are one change."""

    product_id: int
    by: str
    why: str
    key: str


def change_stock(entry: StaffEntry, *, kind: StockMovement.Kind, change: int) -> StockMovement:
    """Add pieces, or take some away when `change` is below zero."""
    with transaction.atomic():
        product = _locked(entry)
        if before := _saved_before(entry):
            if (before.kind, before.change) != (kind, change):
                raise FormUsed(before)
            return before
        return _move(product, entry, kind=kind, change=change, explanation=entry.why)


def count_stock(entry: StaffEntry, *, counted: int, seen: int) -> StockMovement:
    """Somebody who was shown that there are `seen` pieces counted `counted`.

    This is refused when the stock has moved since. Only that person knows whether they counted
    before or after, and a sale that the count did not see would be undone.
    """
    explanation = f"{THERE_ARE.format(counted)}. {entry.why}".strip()
    with transaction.atomic():
        product = _locked(entry)
        if before := _saved_before(entry):
            if (before.kind, before.explanation) != (StockMovement.Kind.COUNTED, explanation[:200]):
                raise FormUsed(before)
            return before
        if product.stock != seen:
            raise MovedSince(seen, product.stock)
        return _move(
            product,
            entry,
            kind=StockMovement.Kind.COUNTED,
            change=counted - product.stock,
            explanation=explanation,
        )


def _locked(entry: StaffEntry) -> Product:
    return Product.objects.select_for_update().get(pk=entry.product_id)


def _saved_before(entry: StaffEntry) -> StockMovement | None:
    return StockMovement.objects.filter(key=entry.key).first()


def _move(
    product: Product,
    entry: StaffEntry,
    *,
    kind: StockMovement.Kind,
    change: int,
    explanation: str,
) -> StockMovement:
    if product.stock + change < 0:
        raise BelowZero(product.stock)
    Product.objects.filter(pk=product.pk).update(stock=product.stock + change)
    return StockMovement.objects.create(
        product=product,
        change=change,
        kind=kind,
        actor=entry.by,
        explanation=explanation[:200],
        key=entry.key,
    )
