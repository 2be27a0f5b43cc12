"""An order to which everything happened that support is asked about."""

from django.utils import timezone

from checkout.orders.mail.send import send_next
from checkout.orders.mail.server import configured_mail_server
from checkout.orders.models import Order
from payments.models import Payment
from payments.refunds import request_refund
from tests.support.shopper import Shopper
from tests.support.till import Till


def eventful_order(shopper: Shopper, till: Till, sku: str = "SKU-01") -> Order:
    """Sent twice, declined, paid again with another card, partly refunded."""
    shopper.typed["payment_method"] = "pm_card_chargeDeclined"
    shopper.add_to_cart(sku)
    form = shopper.open_checkout()
    answer = shopper.submit(form)
    shopper.submit(form)
    till.deliver_messages()
    shopper.pay_again(answer.location, "pm_card_visa")
    till.deliver_messages()
    request_refund(
        Payment.objects.get(order__email=shopper.typed["email"], status="paid"),
        amount_minor=300,
        reason="A page was missing",
        requested_by=None,
        now=timezone.now(),
    )
    till.deliver_messages()
    while send_next(configured_mail_server(), now=timezone.now()):
        pass
    return Order.objects.get(email=shopper.typed["email"])
