"""What a gateway is asked for where a test asks it itself."""

from collections.abc import Iterator

from moneyed import get_currency

from checkout.orders.identity.order_identity import OrderIdentity
from payments.gateways.base import LineKind, PaymentLine, PaymentRequest, PostalAddress

ADA = PostalAddress(
    full_name="Ada Byron",
    address="12 Inkwell Lane",
    city="Dublin",
    postcode="D02 AF30",
    country="IE",
    phone="+353123456",
)
SOMEBODYS = OrderIdentity(number="A-1001")


def asked(
    payment_method: str = "pm_card_visa",
    *,
    order: OrderIdentity = SOMEBODYS,
    amount_minor: int = 4200,
    currency: str = "EUR",
    return_url: str = "",
    captures_later: bool = False,
) -> PaymentRequest:
    return PaymentRequest(
        order=order,
        amount_minor=amount_minor,
        currency=currency,
        payment_method=payment_method,
        return_url=return_url,
        email="ada@example.com",
        delivery=ADA,
        billing=ADA,
        lines=tuple(_lines(amount_minor, currency)),
        captures_later=captures_later,
    )


def _lines(amount_minor: int, currency: str) -> Iterator[PaymentLine]:
    """Goods and delivery less a discount, where the amount is large enough."""
    known = get_currency(currency).sub_unit
    parts = [(LineKind.GOODS, amount_minor)]
    if amount_minor > 3 * known:
        parts = [
            (LineKind.GOODS, amount_minor - known),
            (LineKind.DISCOUNT, -known),
            (LineKind.DELIVERY, 2 * known),
        ]
    for kind, minor in parts:
        yield PaymentLine(
            kind=kind, name=kind.value, quantity=1, each_minor=minor, total_minor=minor
        )
