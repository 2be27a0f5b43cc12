"""The one order in which rows are locked: the order, then its payments, then their refunds, then
products by SKU, and last the counter of invoices, for which the whole shop waits. Two processes
with one order wait for each other in turn, and never in a circle."""

from checkout.orders.models import Order
from payments.models import Payment


def lock_order(payment: Payment) -> Order:
    """Lock the payment's order, which comes before any lock of the payment itself."""
    # Only the columns that the callers decide by: Django's work grows with the columns.
    decides = ("status", "needs_person", "placed_at", "payment_round", "erased_at")
    return Order.objects.select_for_update().only(*decides).get(pk=payment.order_id)
