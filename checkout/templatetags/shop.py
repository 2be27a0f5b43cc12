from typing import Any

from django import template
from django.conf import settings
from django.utils.safestring import SafeString, mark_safe

from checkout.catalogue.pictures import drawing_url, has_own_drawing
from checkout.runtime.trace import SHORT, trace_id
from checkout.texts.links import TextLink, text_links
from checkout.user_input.countries import country_name

register = template.Library()
register.filter("country_name", country_name)
register.filter("drawing_url", drawing_url)
register.filter("has_own_drawing", has_own_drawing)


@register.simple_tag
def shop_name() -> str:
    return str(settings.SHOP_NAME)


@register.simple_tag(takes_context=True)
def shop_texts(context: dict[str, Any], *, before_ordering: bool = False) -> list[TextLink]:
    """A page that is shown because the database is away sets `without_database`."""
    asks_database = not context.get("without_database")
    return text_links(before_ordering=before_ordering, asks_database=asks_database)


@register.simple_block_tag
def unindented(content: str) -> SafeString:
    """The content without its templates' indentation and empty lines, which every visitor would
    load and nobody sees. It is not for what keeps its spaces, as a <textarea> does."""
    lines = (line.strip() for line in content.split("\n"))
    return mark_safe("\n".join(line for line in lines if line))  # noqa: S308 - templates escaped it


@register.simple_tag
def withdrawal_form() -> bool:
    """Whether pages link the form by which customers withdraw."""
    return bool(settings.WITHDRAWAL_FORM)


@register.simple_tag
def support_reference() -> str:
    """The beginning of the trace id, by which the log is searched. It asks no database."""
    return trace_id()[:SHORT]
