from django import template
from django.conf import settings

from checkout import countries, pictures

register = template.Library()


@register.simple_tag
def shop_name() -> str:
    return str(settings.SHOP_NAME)


@register.filter
def country_name(code: str) -> str:
    return countries.country_name(code)


@register.filter
def drawing_url(sku: str) -> str:
    return pictures.drawing_url(sku)


@register.filter
def has_own_drawing(sku: str) -> bool:
    return pictures.has_own_drawing(sku)
