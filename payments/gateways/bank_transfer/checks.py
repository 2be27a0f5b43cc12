"""System checks of the account that customers are told."""

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register

from payments.gateways.settings import given

NEEDED = ["BANK_TRANSFER_HOLDER", "BANK_TRANSFER_IBAN"]


@register(Tags.security)
def check_account(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    for name in NEEDED:
        if not given(name):
            yield Error(
                f"{name} is not set, so customers are told no account to send their money to.",
                hint="Set it, or take bank_transfer out of PAYMENT_GATEWAYS and PAYMENT_OFFERS.",
                id="bank_transfer.E001",
            )
