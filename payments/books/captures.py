"""Payments that are charged parcel by parcel, and of which too much, too little or nothing is.

Each statement selects a row's name and what is wrong with it, for a check of `audit`.
"""

from checkout.orders.models import Order
from checkout.orders.states import TO_SEND
from payments.capturing.capture import payment_to_capture
from payments.prices import parcels_cost_minor
from payments.states import CaptureStatus

# Captured ≤ authorised ≤ total; the payment's own sums are those of its captures and of what is
# given up.
WRONG_CAPTURES = """
    SELECT o.number, concat(
        p.capture_minor, ' to be charged and ', p.released_minor, ' given up of ', p.amount_minor,
        ' for ', o.total_minor, '; charged ', coalesce(p.charged_minor, 0), ', its captures have ',
        asked, ' and ', captured, ', what is given up ', released)
    FROM payments_payment p JOIN orders_order o ON o.id = p.order_id
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(c.amount_minor) FILTER (WHERE c.status <> 'failed'), 0) AS asked,
               coalesce(sum(c.amount_minor) FILTER (WHERE c.status = 'captured'), 0) AS captured
        FROM payments_capture c WHERE c.payment_id = p.id
    ) captures
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(r.amount_minor), 0) AS released FROM payments_refund r
        WHERE r.payment_id = p.id AND r.is_release AND r.status <> 'failed'
    ) releases
    WHERE p.captures_later AND p.status IN ('authorised', 'paid') AND (
        p.capture_minor + p.released_minor > p.amount_minor OR p.amount_minor > o.total_minor
        OR p.capture_minor < asked OR p.released_minor <> released
        OR coalesce(p.charged_minor, 0) < captured
        OR (p.status = 'paid' AND coalesce(p.charged_minor, 0) = 0))
"""

# Nobody charges for what is sent of an order whose payment has lost that it is set aside. One that
# was cancelled has given its payment up a moment before its own status says so.
NOTHING_TO_CHARGE = """
    SELECT o.number, coalesce(
        (SELECT 'its payment of round ' || p.round || ' is ' || p.status
         FROM payments_payment p WHERE p.order_id = o.id ORDER BY p.round DESC LIMIT 1),
        'it has no payment')
    FROM orders_order o
    WHERE o.status = 'authorised' AND o.cancelled_by = '' AND NOT EXISTS (
        SELECT FROM payments_payment p
        WHERE p.order_id = o.id AND p.captures_later AND p.status = 'authorised')
"""

# A parcel waits for its charge for moments, while the sweep watches over its order; a person has it
# where it could not be charged. What is charged last is all of the rest. A parcel without a charge
# of its own may be paid for all the same, as `is_owed` tells.
WRONG_PARCELS = """
    SELECT o.number, concat('a parcel of ', s.sent_at, ' is not charged')
    FROM orders_shipment s JOIN orders_order o ON o.id = s.order_id
    JOIN payments_payment p ON p.order_id = o.id AND p.captures_later
         AND p.status IN ('authorised', 'paid')
    WHERE o.authorised_until IS NOT NULL AND s.undone_at IS NULL AND s.sent_at < %s
      AND p.capture_minor + p.released_minor < p.amount_minor
      AND NOT EXISTS (SELECT FROM payments_capture c WHERE c.payment_id = p.id
                      AND c.shipment_id >= s.id)
    UNION ALL
    SELECT o.number, concat('the charge for a parcel is open since ', c.created_at)
    FROM payments_capture c JOIN payments_payment p ON p.id = c.payment_id
    JOIN orders_order o ON o.id = p.order_id
    WHERE c.status = 'requested' AND c.created_at < %s AND o.sweep_at IS NULL
"""


def is_owed(number: str) -> bool:
    """Whether what was sent of an order costs more than is charged for it. What was charged for a
    parcel that did not leave after all pays for the next one, which then needs no charge."""
    order = Order.objects.get(number=number)
    payment = payment_to_capture(order)
    if payment is None or order.dispatch_status not in TO_SEND:
        return True  # nothing is left to be sent: all of the rest had to be charged
    if payment.captures.filter(status=CaptureStatus.REQUESTED).exists():
        return True
    lines = list(order.lines.all())
    sent = {
        line.pk: line.shipped if line.is_delivered else line.quantity - line.called_off
        for line in lines
    }
    return parcels_cost_minor(order, lines, sent) > payment.capture_minor
