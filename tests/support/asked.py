"""What a gateway is asked for where a test asks it itself."""

from checkout.orders.identity.order_identity import OrderIdentity
from payments.gateways.base import PaymentRequest

SOMEBODYS = OrderIdentity(number="A-1001")


def asked(
    payment_method: str = "pm_card_visa",
    *,
    order: OrderIdentity = SOMEBODYS,
    amount_minor: int = 4200,
    currency: str = "EUR",
    return_url: str = "",
) -> PaymentRequest:
    return PaymentRequest(
        order=order,
        amount_minor=amount_minor,
        currency=currency,
        payment_method=payment_method,
        return_url=return_url,
    )
