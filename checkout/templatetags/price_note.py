from django import template
from django.conf import settings

from checkout.catalogue.rules.price_list import rules_there_are
from checkout.runtime.clock import database_now

register = template.Library()


@register.inclusion_tag("checkout/price_note.html")
def price_note(*, is_delivered: bool = True) -> dict[str, bool]:
    """What the prices of a page contain and what is added to them, read by one statement: use it
    once on a page. A shop without rates says nothing of tax, and one without delivery methods
    delivers for nothing."""
    there_are = rules_there_are(database_now().date())
    return {
        "includes_tax": there_are.has_tax and settings.PRICES_INCLUDE_TAX,
        "adds_tax": there_are.has_tax and not settings.PRICES_INCLUDE_TAX,
        "adds_delivery": there_are.has_delivery and is_delivered,
    }
