"""The product with one of its guards taken out, to show that the drill notices.

python -m tests.tools.drill.without token manage.py run_payment_worker
python -m tests.tools.drill.without token gunicorn config.wsgi --bind=…
"""

import os
import sys
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any


def _take_out(of: object, **put_in: object) -> None:
    for name, value in put_in.items():
        setattr(of, name, value)


def _without_token() -> None:
    """Each press is a purchase of its own, and the cart stays as it is."""
    from checkout import cart
    from checkout.models import Cart
    from checkout.orders.placing import place as placing
    from checkout.orders.placing.find_order import Found
    from checkout.orders.placing.purchase import PurchaseLine
    from checkout.views import checkout

    def take(self: Any) -> Any:
        found = Cart.objects.get(pk=self.token.checkout_id)
        return [
            PurchaseLine.of(line.product, line.quantity)
            for line in found.lines.select_related("product")
        ]

    def place_order(request: Any, basket: Any, *, now: datetime) -> Any:
        return placing.place_order(replace(request, checkout_id=uuid.uuid4()), basket, now=now)

    _take_out(cart.CartBasket, take=take)
    nothing = Found(order=None, similar=[])
    _take_out(checkout, place_order=place_order, find_order_and_similar=lambda *_, **asked: nothing)


def _without_stored_payment() -> None:
    """The consumer is not idempotent: whatever it receives, it opens and charges."""
    from payments.gateways.stripe.client import StripeGateway
    from payments.models import Payment
    from payments.settling import settle_order

    honest_open, honest_confirm = StripeGateway.open, StripeGateway.confirm

    def open_(self: Any, request: Any, *, idempotency_key: str) -> Any:
        return honest_open(self, request, idempotency_key=str(uuid.uuid4()))

    def confirm(self: Any, payment_id: str, request: Any, *, idempotency_key: str) -> Any:
        return honest_confirm(self, payment_id, request, idempotency_key=str(uuid.uuid4()))

    _take_out(StripeGateway, open=open_, confirm=confirm)

    def charge_anew(round_: Any) -> Any:
        payment = round_.payment
        opened = round_.calls.open(payment)
        payment.gateway_payment_id = opened.id
        Payment.objects.filter(pk=payment.pk).update(gateway_payment_id=opened.id)
        return round_.calls.confirm(payment)

    _take_out(settle_order, _charge=charge_anew)


def _without_sweep() -> None:
    """What the queue loses stays lost."""
    from checkout.orders.outbox import publisher

    _take_out(publisher, sweep=lambda *, now: 0)


def _without_unknown() -> None:
    """An answer that never came is taken for a decline, and the customer may pay again."""
    from payments.gateways.base import OutcomeUnknown, PaymentMethodRefused
    from payments.settling import settle_order

    honest_charge = settle_order._charge

    def charge(round_: Any) -> Any:
        try:
            return honest_charge(round_)
        except OutcomeUnknown as error:
            raise PaymentMethodRefused("timeout") from error

    _take_out(settle_order, _charge=charge)


def _without_database_clock() -> None:
    """Each process stamps and judges by its own clock."""
    from checkout.runtime import clock

    _take_out(clock, _read=lambda: datetime.now(tz=UTC))


def _without_conditional_stock() -> None:
    """Stock is read, reckoned and written back."""
    from checkout.catalogue.models import Product
    from checkout.orders.placing import place as placing

    def reserve_stock(quantities: dict[int, int], *, order_id: int) -> None:
        for product in Product.objects.filter(pk__in=quantities):
            Product.objects.filter(pk=product.pk).update(
                stock=product.stock - quantities[product.pk]
            )

    # The one statement has the guard as well.
    _take_out(placing, reserve_stock=reserve_stock, _place_at_once=lambda *_, **now: None)


def _without_code_count() -> None:
    """A code is looked at before the order, and not counted with it."""
    from checkout.orders.placing import place as placing

    _take_out(placing, use_code=lambda order: None)


def _without_sent_at_most() -> None:
    """Nobody looks how many pieces are left. The drill drops the constraint as well."""
    from checkout.orders.dispatch import ship as dispatch

    def pieces(order: Any, quantities: Any) -> dict[int, int]:
        return dict(quantities or dict(order.lines.values_list("pk", "quantity")))

    _take_out(dispatch, _pieces=pieces)


def _without_return_key() -> None:
    """Each press of a return's form is a return of its own, while the customer has the pieces."""
    from checkout.orders.dispatch import returns

    def take_return(order: Any, quantities: Any, *, key: str, **more: Any) -> Any:
        return honest(order, quantities, key=f"{key}-{uuid.uuid4().hex[:8]}", **more)

    honest = returns.take_return
    _take_out(returns, take_return=take_return)


def _without_refund_key() -> None:
    """Each press of a refund's form is a refund of its own."""
    from payments import refunds

    honest = refunds.request_refund

    def request_refund(payment: Any, *, key: Any = None, **more: Any) -> Any:
        return honest(payment, key=None, **more)

    _take_out(refunds, request_refund=request_refund)


def _without_capture_key() -> None:
    """The consumer is not idempotent: a parcel whose charge got no answer is charged anew."""
    from payments.capturing import capture as capturing
    from payments.capturing.record import record_captured
    from payments.gateways.stripe.client import StripeGateway

    honest = StripeGateway.capture

    def capture(self: Any, payment_id: str, *, idempotency_key: str, **how: Any) -> Any:
        return honest(self, payment_id, idempotency_key=str(uuid.uuid4()), **how)

    def charge(begun: Any, calls: Any) -> None:
        record_captured(begun.payment, calls.capture(begun), now=calls.clock())

    _take_out(StripeGateway, capture=capture)
    _take_out(capturing, _charge=charge)


GUARDS: dict[str, Callable[[], None]] = {
    "token": _without_token,
    "stored-payment": _without_stored_payment,
    "sweep": _without_sweep,
    "unknown-outcome": _without_unknown,
    "database-clock": _without_database_clock,
    "code-count": _without_code_count,
    "conditional-stock": _without_conditional_stock,
    "sent-at-most": _without_sent_at_most,
    "return-key": _without_return_key,
    "refund-key": _without_refund_key,
    "capture-key": _without_capture_key,
}


def main() -> None:
    guard, program, *arguments = sys.argv[1:]
    sys.argv = [program, *arguments]
    if program == "gunicorn":
        # Its workers import the shop; the patch waits there.
        os.environ["DRILL_WITHOUT"] = guard
        from gunicorn.app.wsgiapp import WSGIApplication

        sys.argv[1] = "tests.tools.drill.wsgi_without"
        WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]").run()
        return
    import django
    from django.core.management import execute_from_command_line

    django.setup()
    GUARDS[guard]()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
