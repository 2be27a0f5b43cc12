"""Taking in what a customer sends back, once for each key."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.dispatch.call_off import put_on_sale
from checkout.orders.dispatch.pieces import in_words, move_pieces, record_dispatch_status
from checkout.orders.history import note_staff
from checkout.orders.mail.enqueue import queue_mail
from checkout.orders.models import GoodsReturn, GoodsReturnLine, Mail, Order, OrderLine
from checkout.orders.states import PAID_FOR, DispatchStatus


@dataclass(frozen=True)
class ReturnedPieces:
    """So many pieces of a line came back, and so many of them go on sale again."""

    pieces: int
    restock: int = 0


def may_come_back(order: Order, line: OrderLine) -> int:
    """How many pieces are with the customer. Of an order of a release that did not write down what
    it sent, each piece may be."""
    if order.dispatch_status == DispatchStatus.NOT_RECORDED:
        return line.quantity - line.called_off - line.returned
    return line.shipped - line.returned


def take_return(
    order: Order,
    quantities: Mapping[int, ReturnedPieces],
    *,
    key: str,
    by: str,
    why: str,
    now: datetime,
) -> GoodsReturn:
    """Write down that goods came back: line id → pieces. Two requests under one key are one return.
    No money is sent back by this. Raises `ActionImpossible`."""
    with transaction.atomic():
        current = Order.objects.select_for_update().get(pk=order.pk)
        taken = {line_id: each for line_id, each in quantities.items() if each.pieces}
        if earlier := GoodsReturn.objects.filter(key=key).first():
            _must_be_the_same(earlier, current, taken)
            return earlier
        lines = {line.pk: line for line in current.lines.all()}
        _must_be_possible(current, lines, taken)
        pieces = {line_id: each.pieces for line_id, each in taken.items()}
        on_sale = {line_id: each.restock for line_id, each in taken.items() if each.restock}
        # What came back was sent, whether or not a release had written that down.
        sent = {
            line_id: max(0, lines[line_id].returned + count - lines[line_id].shipped)
            for line_id, count in pieces.items()
        }
        move_pieces(current.pk, shipped=sent, returned=pieces, put_back=on_sale)
        put_on_sale(current, on_sale, lines.values(), by=by, why=why, key=key)
        what = f"Return taken in: {in_words(pieces, lines.values())}"
        if on_sale:
            what += f"; on sale again: {in_words(on_sale, lines.values())}"
        event = note_staff(current.pk, what, by=by, why=why, now=now)
        goods_return = GoodsReturn.objects.create(
            order=current, key=key, event=event, taken_by=by[:150], taken_at=now
        )
        GoodsReturnLine.objects.bulk_create(
            GoodsReturnLine(
                goods_return=goods_return,
                line_id=line_id,
                quantity=each.pieces,
                restocked=each.restock,
            )
            for line_id, each in taken.items()
        )
        record_dispatch_status(current)
        queue_mail(Mail.Kind.RETURNED, event, now=now)
    return goods_return


def _must_be_the_same(
    earlier: GoodsReturn, order: Order, taken: Mapping[int, ReturnedPieces]
) -> None:
    rows = earlier.lines.values_list("line_id", "quantity", "restocked")
    before = {line_id: ReturnedPieces(*counts) for line_id, *counts in rows}
    if earlier.order_id != order.pk or before != dict(taken):
        raise ActionImpossible(
            "This form was sent before with other pieces, and that return was taken in. Open the "
            "page again to take in more."
        )


def _must_be_possible(
    order: Order, lines: Mapping[int, OrderLine], taken: Mapping[int, ReturnedPieces]
) -> None:
    if order.status not in PAID_FOR:
        raise ActionImpossible("Nothing was taken in. This order was never paid and never sent.")
    if not taken:
        raise ActionImpossible("Nothing was taken in. Say how many pieces came back.")
    for line_id, each in taken.items():
        most = may_come_back(order, lines[line_id]) if line_id in lines else 0
        if not 0 < each.pieces <= most:
            raise ActionImpossible(
                "Nothing was taken in. The customer of this order has fewer pieces than that."
            )
        if not 0 <= each.restock <= each.pieces:
            raise ActionImpossible(
                "Nothing was taken in. No more pieces can go on sale again than came back."
            )
