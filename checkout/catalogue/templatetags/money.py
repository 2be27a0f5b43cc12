from django import template
from django.utils.translation import get_language, to_locale
from moneyed import Money
from moneyed.l10n import format_money

register = template.Library()


@register.filter(name="money")
def show_money(amount: Money) -> str:
    """Never rounded: CLDR shows some currencies (LAK, MGA) without coins that can be charged."""
    locale = to_locale(get_language() or "en")
    return format_money(amount, locale=locale, decimal_quantization=False)
