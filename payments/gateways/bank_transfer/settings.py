"""The account to which customers send their money."""

from django.core.exceptions import ImproperlyConfigured
from stdnum import bic, iban

from payments.gateways.settings import Environment, GatewaySettings


def read(env: Environment) -> GatewaySettings:
    account = iban.compact(env.text("BANK_TRANSFER_IBAN"))
    bank = bic.compact(env.text("BANK_TRANSFER_BIC"))
    if account and not iban.is_valid(account):
        raise ImproperlyConfigured(
            "BANK_TRANSFER_IBAN is no IBAN: a digit is missing or wrong."
        ) from None
    if bank and not bic.is_valid(bank):
        raise ImproperlyConfigured(
            "BANK_TRANSFER_BIC is no BIC, which has 8 or 11 signs."
        ) from None
    return GatewaySettings(
        values={
            "BANK_TRANSFER_HOLDER": env.text("BANK_TRANSFER_HOLDER"),
            "BANK_TRANSFER_IBAN": account,
            "BANK_TRANSFER_BIC": bank,
            "BANK_TRANSFER_DAYS": env.whole("BANK_TRANSFER_DAYS", 14, at_least=1, at_most=90),
        }
    )
