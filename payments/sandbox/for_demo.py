"""How `make demo` has the shop call these sandboxes, and the sandboxes call the shop."""

import secrets

WEBHOOK_PATH = "/payments/webhooks/stripe/"

# No key of the shop's own is sent to the sandbox, and its test cards take the place of a card. The
# account is the one that books about bank accounts have as their example.
SETTINGS = {
    "PAYMENT_GATEWAYS": "stripe,mollie,bank_transfer",
    "MOLLIE_API_KEY": "test_sandbox",
    "BANK_TRANSFER_HOLDER": "Halfmoon Stationers GmbH (demo)",
    "BANK_TRANSFER_IBAN": "DE89370400440532013000",
    "STRIPE_SECRET_KEY": "sk_test_sandbox",
    "STRIPE_PUBLISHABLE_KEY": "",
}


def new_webhook_secret() -> str:
    return f"whsec_{secrets.token_hex(16)}"


def settings_for(*, url: str, mollie_url: str, webhook_secret: str) -> dict[str, str]:
    return {
        "STRIPE_API_BASE": url,
        "STRIPE_WEBHOOK_SECRETS": webhook_secret,
        "MOLLIE_API_BASE": mollie_url,
    }
