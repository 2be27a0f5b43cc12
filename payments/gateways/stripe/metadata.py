"""What Stripe keeps of an order with its payment, and shows to people in its dashboard.

Loaded by web processes too, which read it in events: nothing of Stripe's own is loaded here.
"""

from collections.abc import Callable

from checkout.orders.identity.order_identity import OrderIdentity
from checkout.runtime.storable_text import is_storable

NUMBER, REFERENCE, INSTALLATION = "order", "order_reference", "installation"


def metadata_of(order: OrderIdentity) -> dict[str, str]:
    """What is empty is left out: what was opened by the number alone is opened again so."""
    told = {NUMBER: order.number, REFERENCE: order.reference, INSTALLATION: order.installation}
    return {name: value for name, value in told.items() if value}


def order_in(value_of: Callable[[str], object]) -> OrderIdentity:
    """Empty where the payment names none, as that of another program on the same account."""
    return OrderIdentity(
        number=_text(value_of(NUMBER)),
        reference=_text(value_of(REFERENCE)),
        installation=_text(value_of(INSTALLATION)),
    )


def _text(value: object) -> str:
    """Nothing that is ours holds anything else."""
    return value if isinstance(value, str) and is_storable(value) else ""
