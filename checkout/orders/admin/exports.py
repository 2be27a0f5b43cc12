"""What the list of orders exports as CSV: one row for each order, or for each of their lines."""

from collections.abc import Iterator

from django.conf import settings
from django.db.models import QuerySet
from django.http import StreamingHttpResponse

from checkout.catalogue.typed_amounts import decimal_sign, write_amount
from checkout.orders.admin.lists import in_chunks, streamed_csv
from checkout.orders.models import Order, OrderLine
from checkout.orders.money.parts import Parts
from checkout.orders.postal_address import FIELDS
from checkout.quotes.rules import plain_percent

# New columns are added at the end: programs may know the others by their position.
ADDED_TO_ADDRESS = ("address2", "region", "company", "phone", "vat_id")


def export_orders(orders: QuerySet[Order]) -> StreamingHttpResponse:
    header = ["number", "status", "placed_at", *_amounts("total", "refunded"), "currency"]
    header += ["sent_again", "email", "full_name", "address", "postcode", "city", "country"]
    header += [*_amounts("goods", "discount", "delivery", "tax"), "prices_include_tax"]
    header += ["code", "delivery_method", *ADDED_TO_ADDRESS]
    header += [f"billing_{name}" for name in FIELDS]
    return streamed_csv("orders.csv", header, in_chunks(orders), _cells_of_order)


def export_lines(orders: QuerySet[Order]) -> StreamingHttpResponse:
    """The lines of an order stand together; those of a thousand orders are read at once."""
    header = ["number", "status", "placed_at", "sku", "name", "quantity"]
    header += [*_amounts("unit_price", "total", "discount"), "tax_percent", *_amounts("tax")]
    header += ["prices_include_tax", "currency", "country", "region"]
    lines = _lines_of(orders.prefetch_related("lines"))
    return streamed_csv("order-lines.csv", header, lines, _cells_of_line)


def _lines_of(orders: QuerySet[Order]) -> Iterator[OrderLine]:
    for order in in_chunks(orders):
        yield from order.lines.all()


def _amounts(*names: str) -> list[str]:
    return [f"{name} ({settings.SHOP_CURRENCY})" for name in names]


def _amount_cell(amount_minor: int, currency: str) -> str:
    """An amount in another currency than the shop's is a text, which no spreadsheet adds up."""
    written = write_amount(amount_minor, currency)
    return written if currency == settings.SHOP_CURRENCY else f"{written} {currency}"


def _cells_of_order(order: Order) -> list[object]:
    parts, billing = Parts.of_order(order), order.billing or {}
    return [
        order.number,
        order.status,
        order.placed_at.isoformat(timespec="seconds"),
        _amount_cell(order.total_minor, order.currency),
        _amount_cell(order.refunded_minor, order.currency),
        order.currency,
        order.resubmission_count,
        *(order.email, order.full_name, order.address),
        *(order.postcode, order.city, order.country),
        _amount_cell(parts.goods_minor, order.currency),
        _amount_cell(parts.discount_minor, order.currency),
        _amount_cell(parts.delivery_minor, order.currency),
        # The release before worked out no tax, which is not the same as a tax of 0.
        "" if order.goods_minor is None else _amount_cell(parts.tax_minor, order.currency),
        "" if order.goods_minor is None else _yes_no(order.prices_include_tax),
        *(order.discount_code, order.delivery_name),
        *(getattr(order, name) for name in ADDED_TO_ADDRESS),
        *(billing.get(name, "") for name in FIELDS),
    ]


def _cells_of_line(line: OrderLine) -> list[object]:
    order, percent = line.order, line.tax_percent
    return [
        order.number,
        order.status,
        order.placed_at.isoformat(timespec="seconds"),
        *(line.sku, line.name, line.quantity),
        _amount_cell(line.unit_price_minor, order.currency),
        _amount_cell(line.total_minor, order.currency),
        _amount_cell(line.discount_minor, order.currency),
        "" if percent is None else plain_percent(percent).replace(".", decimal_sign()),
        "" if percent is None else _amount_cell(line.tax_minor, order.currency),
        "" if percent is None else _yes_no(order.prices_include_tax),
        *(order.currency, order.country, order.region),
    ]


def _yes_no(is_so: bool) -> str:
    return "yes" if is_so else "no"
