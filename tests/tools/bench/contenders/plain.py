"""The checkout's POST as it is mostly written with Django's ORM: object by object.

A contender, to compare with. Takes the same form and token, stands behind the same middleware and
stores the same rows; a test holds that. It reads a row, changes it in Python and saves it, line by
line, and asks whether an order exists before it makes one.
"""

from datetime import UTC, datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.urls import include, path, reverse
from django.utils import timezone
from django.utils.translation import get_language

from checkout.cart import session_nonce
from checkout.catalogue.models import DeliveryMethod, Product, StockMovement, TaxRate
from checkout.forms import CheckoutForm
from checkout.models import Cart
from checkout.orders.models import (
    LimitCount,
    Mail,
    Order,
    OrderEvent,
    OrderLine,
    OutboxMessage,
)
from checkout.orders.placing.purchase import Customer, digest
from checkout.orders.states import OrderStatus
from checkout.orders.sweep_schedule import next_sweep
from checkout.tokens import CheckoutToken, TokenRefused, read_token
from checkout.views.see_other import HttpResponseSeeOther
from checkout.visitor import visitor_of

WINDOW_SECONDS = 600
AT_MOST = {"session": 20, "address": 120, "shop": 100_000_000}


def checkout(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    try:
        token = read_token(request.POST["token"], nonce=session_nonce(request.session))
    except TokenRefused:
        return HttpResponseBadRequest()
    if order := Order.objects.filter(checkout_id=token.checkout_id).first():
        return HttpResponseSeeOther(reverse("order", args=[order.reference]))
    form = CheckoutForm(request.POST)
    if token.has_expired(now) or not form.is_valid() or _is_limited(request, now):
        return HttpResponseBadRequest()
    similar = Order.objects.filter(
        email__iexact=form.cleaned_data["email"], basket_digest=token.basket_digest
    )
    if similar.filter(status__in=["placed", "action_required", "paid"]).exists():
        return HttpResponseBadRequest()
    order = _place(request, form, token, now)
    return HttpResponseSeeOther(reverse("order", args=[order.reference]))


def _is_limited(request: HttpRequest, now: datetime) -> bool:
    visitor = visitor_of(request)
    window = (int(now.timestamp()) // WINDOW_SECONDS + 1) * WINDOW_SECONDS
    for scope, who in {"session": visitor.session, "address": visitor.address, "shop": ""}.items():
        counter, _ = LimitCount.objects.get_or_create(
            key=f"placing:{scope}:{WINDOW_SECONDS}:{who}",
            window_end=datetime.fromtimestamp(window, tz=UTC),
        )
        if counter.count >= AT_MOST[scope]:
            return True
        LimitCount.objects.filter(pk=counter.pk).update(count=F("count") + 1)
    return False


@transaction.atomic
def _place(request: HttpRequest, form: CheckoutForm, token: CheckoutToken, now: datetime) -> Order:
    cart = Cart.objects.select_for_update().get(pk=token.checkout_id, closed_at__isnull=True)
    visitor = visitor_of(request)
    typed = form.cleaned_data
    method = DeliveryMethod.objects.get(pk=typed["delivery_method"], is_on=True)
    prices = method.prices.filter(country__in=["", typed["country"]])
    delivery = prices.order_by("-country")[0]
    customer = Customer.typed(typed)
    order = Order.objects.create(
        checkout_id=token.checkout_id,
        content_digest=digest(form.cleaned_data),
        basket_digest=token.basket_digest,
        language=get_language() or "",
        payment_method=typed["payment_method"],
        total_minor=0,
        goods_minor=None,
        delivery_minor=delivery.price_minor,
        delivery_method=str(method.pk),
        delivery_name=method.name,
        currency=token.currency,
        from_session=visitor.session,
        from_address=visitor.address,
        placed_at=now,
        status_changed_at=now,
        sweep_at=next_sweep(now),
        **customer.columns(),
    )
    percent = _percent(order.country, method.tax_class, now)
    taxed = {percent: order.delivery_minor}
    for line in cart.lines.order_by("product_id"):
        product = Product.objects.select_for_update().get(pk=line.product_id)
        if product.stock < line.quantity:
            raise ValueError("Not enough of it is left")
        product.stock -= line.quantity
        product.save()
        StockMovement.objects.create(
            product=product, change=-line.quantity, kind=StockMovement.Kind.PLACED, order=order
        )
        percent = _percent(order.country, product.tax_class, now)
        OrderLine.objects.create(
            order=order,
            product=product,
            sku=product.sku,
            name=product.name,
            quantity=line.quantity,
            unit_price_minor=product.price_minor,
            tax_percent=percent,
            tax_minor=_tax(line.quantity * product.price_minor, percent),
        )
        order.total_minor += line.quantity * product.price_minor
        taxed[percent] = taxed.get(percent, 0) + line.quantity * product.price_minor
    order.goods_minor = order.total_minor
    order.total_minor += order.delivery_minor
    order.tax_minor = sum(_tax(amount, rate) for rate, amount in taxed.items())
    order.taxes = [
        {
            "percent": f"{rate.normalize():f}",
            "net_minor": amount - _tax(amount, rate),
            "tax_minor": _tax(amount, rate),
        }
        for rate, amount in taxed.items()
    ]
    order.save()
    _tell(order, now)
    cart.closed_at = now
    cart.save()
    return order


def _percent(country: str, tax_class: str, now: datetime) -> Decimal:
    rates = TaxRate.objects.filter(country=country, region="", tax_class=tax_class)
    return rates.filter(holds_from__lte=now.date()).order_by("-holds_from")[0].percent


def _tax(amount: int, percent: Decimal) -> int:
    return round(amount * percent / (100 + percent))


def _tell(order: Order, now: datetime) -> None:
    event = OrderEvent.objects.create(
        order=order,
        kind=OrderEvent.Kind.TRANSITION,
        to_status=OrderStatus.PLACED,
        reason="Order placed",
        created_at=now,
    )
    Mail.objects.create(order=order, event=event, kind=Mail.Kind.RECEIVED, available_at=now)
    OutboxMessage.objects.create(
        order=order, kind=OutboxMessage.Kind.SETTLE_PAYMENT, available_at=now
    )


urlpatterns = [path("checkout/", checkout), path("", include("config.urls"))]
