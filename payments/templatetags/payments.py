from django import template
from django.conf import settings

register = template.Library()


@register.simple_tag
def stripe_publishable_key() -> str:
    """Public by its nature: it can only create payment methods."""
    key: str = settings.STRIPE_PUBLISHABLE_KEY
    return key


@register.simple_tag
def shop_currency() -> str:
    currency: str = settings.SHOP_CURRENCY
    return currency.lower()
