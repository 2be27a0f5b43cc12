"""Confirmation tokens, which the Payment Element makes of whatever a customer pays with: a card, a
wallet, a bank account, a company such as PayPal.

Stripe API reference, "The ConfirmationToken object": each is used once, and expires after some
hours. A payment that is not confirmed by then is refused, and its customer chooses again.
"""

PREFIX = "ctoken_"


def is_token(payment_method: str) -> bool:
    return payment_method.startswith(PREFIX)
