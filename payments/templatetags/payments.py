from django import template
from django.conf import settings

register = template.Library()


@register.simple_tag
def shop_currency() -> str:
    currency: str = settings.SHOP_CURRENCY
    return currency.lower()
