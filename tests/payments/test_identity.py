"""What names an order to the gateway: its reference and the installation, and not its number."""

from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.identity.installation import installation_id
from checkout.orders.identity.matching import identity_of
from checkout.orders.identity.order_identity import OrderIdentity
from payments.gateways.base import NotExecuted
from payments.gateways.stripe.client import StripeGateway
from payments.models import Payment
from payments.settling.request import request_of
from payments.settling.result import Result
from payments.settling.settle_order import settle_order
from tests.doubles.gateway import FaultyGateway, raising
from tests.support.factories import placed_order
from tests.support.till import only


def test_gateway_is_told_reference_and_installation(
    shelf: list[Product], gateway: StripeGateway
) -> None:
    order = placed_order(shelf[0])

    settle_order(order.number, only(gateway), clock=timezone.now)

    told = gateway.retrieve(Payment.objects.get().gateway_payment_id).order
    assert told == identity_of(order)
    assert (told.reference, told.installation) == (order.reference, installation_id())


def test_round_begun_by_the_previous_release_is_opened_as_the_same_call(
    shelf: list[Product], gateway: StripeGateway
) -> None:
    """It told the number alone, and nothing of customer and goods, and its answer was lost: another
    call under its key is refused."""
    order = placed_order(shelf[0])
    lost = FaultyGateway(gateway, before={"open": raising(NotExecuted("connection_lost"))})
    settle_order(order.number, only(lost), clock=timezone.now)
    assert Payment.objects.get().details
    Payment.objects.update(installation="", details=None)
    payment = Payment.objects.select_related("order").get()
    request = request_of(payment)
    assert (request.order, request.delivery) == (OrderIdentity(number=order.number), None)
    opened = gateway.open(request, idempotency_key=payment.open_key)

    assert settle_order(order.number, only(gateway), clock=timezone.now) is Result.PAID

    assert Payment.objects.get().gateway_payment_id == opened.id
