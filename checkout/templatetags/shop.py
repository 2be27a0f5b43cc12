from django import template
from django.conf import settings

from checkout.catalogue.pictures import drawing_url, has_own_drawing
from checkout.runtime.trace import SHORT, trace_id
from checkout.user_input.countries import country_name

register = template.Library()
register.filter("country_name", country_name)
register.filter("drawing_url", drawing_url)
register.filter("has_own_drawing", has_own_drawing)


@register.simple_tag
def shop_name() -> str:
    return str(settings.SHOP_NAME)


@register.simple_tag
def support_reference() -> str:
    """The beginning of the trace id, by which the log is searched. It asks no database."""
    return trace_id()[:SHORT]
