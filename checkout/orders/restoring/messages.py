"""What the queue still holds of orders that a restored backup has lost."""

from collections.abc import Iterator
from contextlib import closing

from checkout.orders.identity.matching import names_us, orders_named
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.operations.dead_letters import Reading
from checkout.orders.outbox.messages import FutureVersion, PoisonMessage, decode
from checkout.orders.queue.sqs import PaymentsQueue


def lost_orders_in(queue: PaymentsQueue) -> Iterator[OrderIdentity]:
    """Orders of this installation that messages name and the database does not have. Each message
    is received once by that, and then shown again."""
    for each in (queue, queue.dead_letter_queue()):
        with closing(Reading(each)) as reading:
            for batch in reading.batches():
                named = [one for message in batch if (one := _named(message.body))]
                here = {order.reference for order in orders_named(named)}
                yield from (one for one in named if one.reference not in here)


def _named(body: str) -> OrderIdentity | None:
    try:
        order = decode(body).order
    except (PoisonMessage, FutureVersion):
        return None
    return order if names_us(order) else None
