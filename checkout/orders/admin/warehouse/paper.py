"""Pages made for printing: one list of what to fetch, and a slip for each parcel."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import override

from checkout.orders.dispatch.to_send import lines_to_send, orders_to_send
from checkout.orders.models import Order, OrderLine
from checkout.orders.postal_address import postal_lines
from checkout.user_input.whole_numbers import whole_number

# More paper than this is not fetched in one walk, nor carried.
MOST_ON_PAPER = 200

# How many of the oldest orders a page shows for which none were chosen.
FIRST = 20


@dataclass(frozen=True)
class Chosen:
    orders: list[Order]  # with something to send, the oldest first
    others: list[Order] = field(default_factory=list)  # chosen, and not to be sent any more
    first: int = 0  # so many of the oldest were asked for; 0: they were chosen one by one


@dataclass(frozen=True)
class ToFetch:
    sku: str
    name: str
    pieces: int
    orders: int


@dataclass(frozen=True)
class Slip:
    order: Order
    lines: list[OrderLine]
    address: list[str]
    language: str


def chosen_orders(request: HttpRequest) -> Chosen:
    """Those whose ids stand in the address, or so many of the oldest. A number that is none is
    passed over: whoever reads the paper sees what is on it."""
    waiting = orders_to_send().prefetch_related("lines")
    if "ids" in request.GET:
        ids = list(_whole_numbers(request.GET["ids"]))[:MOST_ON_PAPER]
        orders = list(waiting.filter(pk__in=ids))
        gone = Order.objects.filter(pk__in=set(ids) - {order.pk for order in orders})
        return Chosen(orders, list(gone.order_by("id")))
    first = next(_whole_numbers(request.GET.get("first", "")), FIRST)
    first = min(max(first, 1), MOST_ON_PAPER)
    return Chosen(list(waiting[:first]), first=first)


def _whole_numbers(text: str) -> Iterator[int]:
    for part in text.split(","):
        try:
            yield whole_number(part)
        except ValueError:
            continue


def to_fetch(orders: list[Order]) -> list[ToFetch]:
    """What to take from the shelves for all of these orders together, by SKU."""
    pieces, wanted_by, names = Counter[str](), Counter[str](), dict[str, str]()
    for order in orders:
        for line in lines_to_send(order):
            pieces[line.sku] += line.to_send
            wanted_by[line.sku] += 1
            names[line.sku] = line.name  # as the newest of these orders has it
    return [ToFetch(sku, names[sku], pieces[sku], wanted_by[sku]) for sku in sorted(pieces)]


def answer_pick_list(request: HttpRequest) -> HttpResponse:
    chosen = chosen_orders(request)
    rows = to_fetch(chosen.orders)
    context = {
        "chosen": chosen,
        "rows": rows,
        "pieces": sum(row.pieces for row in rows),
        "orders": [(order, lines_to_send(order)) for order in chosen.orders],
        "most": MOST_ON_PAPER,
    }
    return TemplateResponse(request, "orders/admin_pick_list.html", context)


def answer_packing_slips(request: HttpRequest) -> HttpResponse:
    chosen = chosen_orders(request)
    context = {
        "chosen": chosen,
        "slips": [_slip(order) for order in chosen.orders],
        "most": MOST_ON_PAPER,
    }
    return TemplateResponse(request, "orders/admin_packing_slips.html", context)


def _slip(order: Order) -> Slip:
    """In its customer's language, for they read it."""
    language = order.language or settings.LANGUAGE_CODE
    with override(language):
        return Slip(order, lines_to_send(order), postal_lines(order), language)
