from django import template
from django.conf import settings

from checkout.catalogue import pictures
from checkout.runtime.trace import SHORT, trace_id
from checkout.user_input import countries

register = template.Library()


@register.simple_tag
def shop_name() -> str:
    return str(settings.SHOP_NAME)


@register.simple_tag
def support_reference() -> str:
    """The beginning of the trace id, by which the log is searched. Asks no database."""
    return trace_id()[:SHORT]


@register.filter
def country_name(code: str) -> str:
    return countries.country_name(code)


@register.filter
def drawing_url(sku: str) -> str:
    return pictures.drawing_url(sku)


@register.filter
def has_own_drawing(sku: str) -> bool:
    return pictures.has_own_drawing(sku)
