"""How `make demo` has the shop call these sandboxes, and the sandboxes call the shop."""

import secrets
from collections.abc import Mapping
from pathlib import Path

WEBHOOK_PATH = "/payments/webhooks/stripe/"

# The gateway that is paid by card on the shop's own page.
BY_CARD = "stripe"

# The processes by their names, and for which gateway each stands.
SANDBOXES = {"sandbox": BY_CARD, "mollie": "mollie"}

# The same processes in the words of the page that breaks the demo.
SHOWN_AS = {"sandbox": "bank (sandbox)", "mollie": "second bank (sandbox)"}

# What was charged in an earlier demo is still known to this one.
LEDGERS = {BY_CARD: "sandbox-ledger.jsonl"}

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


def settings_for(*, urls: Mapping[str, str], webhook_secret: str) -> dict[str, str]:
    return {
        "STRIPE_API_BASE": urls["stripe"],
        "STRIPE_WEBHOOK_SECRETS": webhook_secret,
        "MOLLIE_API_BASE": urls["mollie"],
    }


def of_another_workflow(url: str) -> dict[str, str]:
    """Where a workflow finds its bank that knows nothing but cards."""
    return {"STRIPE_API_BASE": url}


def arguments(
    gateway: str, *, url: str, folder: Path, shop_url: str, webhook_secret: str
) -> list[str]:
    """Those of `run_sandbox_gateway`."""
    ledger = LEDGERS.get(gateway, f"{gateway}-ledger.jsonl")
    return [
        *("--of", gateway, "--port", url.rpartition(":")[2], "--ledger", str(folder / ledger)),
        *("--webhook-url", f"{shop_url}{WEBHOOK_PATH}", "--webhook-secret", webhook_secret),
    ]
