"""What Stripe keeps of an order with its payment, and shows to people in its dashboard.

Web processes load this module too, to read events, so it loads nothing of Stripe's SDK.
"""

from collections.abc import Callable

from checkout.orders.identity.order_identity import OrderIdentity
from checkout.runtime.storable_text import is_storable

NUMBER, REFERENCE, INSTALLATION = "order", "order_reference", "installation"


def metadata_of(order: OrderIdentity) -> dict[str, str]:
    """Empty names are left out: what was opened by the number alone is opened again so."""
    names = {NUMBER: order.number, REFERENCE: order.reference, INSTALLATION: order.installation}
    return {name: value for name, value in names.items() if value}


def order_in(value_of: Callable[[str], object]) -> OrderIdentity:
    """The order that a payment names; its fields are empty for another program's payment."""
    return OrderIdentity(
        number=_text(value_of(NUMBER)),
        reference=_text(value_of(REFERENCE)),
        installation=_text(value_of(INSTALLATION)),
    )


def _text(value: object) -> str:
    """Empty for what is no text that a column can hold: nothing of ours is named by that."""
    return value if isinstance(value, str) and is_storable(value) else ""
