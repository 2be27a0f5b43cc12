"""The account to which customers send their money."""

import re

from django.core.exceptions import ImproperlyConfigured

from payments.gateways.settings import Environment, GatewaySettings

# ISO 13616, "Structure of the IBAN", and ISO 9362 for the BIC.
IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
BIC = re.compile(r"[A-Z0-9]{8}(?:[A-Z0-9]{3})?")


def read(env: Environment) -> GatewaySettings:
    iban = env.text("BANK_TRANSFER_IBAN").replace(" ", "").upper()
    bic = env.text("BANK_TRANSFER_BIC").replace(" ", "").upper()
    if iban and not is_iban(iban):
        raise ImproperlyConfigured(
            "BANK_TRANSFER_IBAN is no IBAN: a digit is missing or wrong."
        ) from None
    if bic and not BIC.fullmatch(bic):
        raise ImproperlyConfigured(
            "BANK_TRANSFER_BIC is no BIC, which has 8 or 11 signs."
        ) from None
    return GatewaySettings(
        values={
            "BANK_TRANSFER_HOLDER": env.text("BANK_TRANSFER_HOLDER"),
            "BANK_TRANSFER_IBAN": iban,
            "BANK_TRANSFER_BIC": bic,
            "BANK_TRANSFER_DAYS": env.whole("BANK_TRANSFER_DAYS", 14, at_least=1, at_most=90),
        }
    )


def is_iban(iban: str) -> bool:
    """ISO 7064, MOD 97-10: letters are numbers from 10, and the whole leaves 1."""
    if not IBAN.fullmatch(iban):
        return False
    digits = "".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])
    return int(digits) % 97 == 1


def in_fours(iban: str) -> str:
    """As people read it, and banks print it."""
    return " ".join(iban[at : at + 4] for at in range(0, len(iban), 4))
