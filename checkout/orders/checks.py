from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from moneyed import CurrencyDoesNotExist, get_currency


@register(Tags.models)
def check_currency(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    try:
        get_currency(settings.SHOP_CURRENCY)
    except CurrencyDoesNotExist:
        return [
            Error(
                f"SHOP_CURRENCY is {settings.SHOP_CURRENCY!r}, which is no currency.",
                hint="Use an ISO 4217 code in capital letters, such as EUR.",
                id="orders.E001",
            )
        ]
    return []
