"""Reads from payments and refunds how much money moved for an order, for the sentences about it."""

from collections.abc import Collection

from django.db import connection

from checkout.orders.money.facts import Moved
from checkout.orders.states import DispatchStatus
from payments.states import (
    UNDECIDED,
    UNSETTLED_REFUNDS,
    CaptureStatus,
    DisputeStatus,
    PaymentStatus,
    RefundStatus,
)

# A charge of another amount than was asked does not pay the order, and was a charge all the same.
# Its payment is not `paid`, so it is in doubt until a person has looked. The customer has the part
# of a charge too many again that a dispute has won them. Of what their bank keeps for an order that
# was cancelled nothing will be charged.
MOVED = """
    SELECT
        payment.order_id,
        coalesce(sum(coalesce(charged_minor, amount_minor)) FILTER (WHERE status = %(paid)s), 0),
        count(*) FILTER (WHERE status = %(paid)s),
        coalesce(sum(sent), 0) + coalesce(sum(lost) FILTER (WHERE is_surplus), 0),
        coalesce(sum(going), 0),
        coalesce(sum(payment.amount_minor - capture_minor - released_minor)
                 FILTER (WHERE captures_later AND kept), 0),
        coalesce(sum(captured), 0),
        bool_or(status = ANY(%(undecided)s) OR status <> %(paid)s AND charged_minor IS NOT NULL)
    FROM payments_payment payment
    CROSS JOIN LATERAL (
        SELECT o.authorised_until IS NOT NULL AND payment.status IN (%(authorised)s, %(paid)s)
            AND (o.cancelled_by = '' OR o.dispatch_status <> %(called_off)s) AS kept
        FROM orders_order o WHERE o.id = payment.order_id
    ) of_order
    CROSS JOIN LATERAL (
        SELECT count(*) AS captured FROM payments_capture capture
        WHERE capture.payment_id = payment.id AND capture.status = %(captured)s
    ) parcels
    CROSS JOIN LATERAL (
        SELECT
            sum(refund.amount_minor) FILTER (WHERE refund.status = %(sent)s) AS sent,
            sum(refund.amount_minor) FILTER (WHERE refund.status = ANY(%(going)s)) AS going
        FROM payments_refund refund
        WHERE refund.payment_id = payment.id AND NOT refund.is_release
    ) back
    CROSS JOIN LATERAL (
        SELECT sum(dispute.amount_minor) AS lost FROM payments_dispute dispute
        WHERE dispute.payment_id = payment.id AND dispute.status = %(lost)s
    ) dispute
    WHERE payment.order_id = ANY(%(orders)s)
    GROUP BY payment.order_id
"""


def read_moved(order_ids: Collection[int]) -> dict[int, Moved]:
    with connection.cursor() as cursor:
        cursor.execute(
            MOVED,
            {
                "orders": list(order_ids),
                "paid": PaymentStatus.PAID.value,
                "authorised": PaymentStatus.AUTHORISED.value,
                "captured": CaptureStatus.CAPTURED.value,
                "called_off": DispatchStatus.CALLED_OFF.value,
                "undecided": [status.value for status in UNDECIDED],
                "lost": DisputeStatus.LOST.value,
                "sent": RefundStatus.SUCCEEDED.value,
                "going": [each.value for each in (RefundStatus.PREPARED, *UNSETTLED_REFUNDS)],
            },
        )
        return {
            order_id: Moved(
                charged_minor=int(charged),
                charges=charges,
                sent_back_minor=int(sent),
                going_back_minor=int(going),
                set_aside_minor=int(set_aside),
                parcels_charged=parcels,
                in_doubt=in_doubt,
            )
            for order_id, charged, charges, sent, going, set_aside, parcels, in_doubt in cursor
        }
