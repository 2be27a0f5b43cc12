"""Rules of prices for a shop that delivers to Ireland and Germany."""

from checkout.catalogue.models import DeliveryMethod, DeliveryPrice
from tests.support.rules import delivery_method, discount_code, tax_rate


def set_rates() -> None:
    tax_rate("IE", "23")
    tax_rate("IE", "13.5", tax_class="reduced")
    tax_rate("DE", "19")
    tax_rate("DE", "7", tax_class="reduced")


def set_methods() -> tuple[DeliveryMethod, DeliveryMethod]:
    """A courier, who is offered first, asks for a telephone number and goes to Ireland alone; and
    the post, which is cheaper and goes there for nothing from 50.00 on."""
    courier = delivery_method(
        "Courier", {"IE": 1200}, duration="Tomorrow", needs_phone=True, position=1
    )
    post = delivery_method("Post", {"DE": 390}, duration="3 to 5 days", position=2)
    DeliveryPrice.objects.create(method=post, country="IE", below=5000, price_minor=490)
    DeliveryPrice.objects.create(method=post, country="IE", at_least=5000, price_minor=0)
    return courier, post


def set_rules() -> tuple[DeliveryMethod, DeliveryMethod]:
    set_rates()
    discount_code("TENTH")
    return set_methods()
