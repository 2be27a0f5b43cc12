"""The sandboxes by the gateway that each stands for, for the command that serves one."""

from pathlib import Path

from payments.sandbox.faults import Faults
from payments.sandbox.mollie.server import MollieSandbox
from payments.sandbox.server import SandboxServer

GATEWAYS = ("stripe", "mollie")

# What the command says of them.
SERVES = "Serve a part of Stripe's API, or of Mollie's,"
WEBHOOKS = (
    "Where Stripe's events are sent; those on their way are lost when the sandbox stops. Mollie is "
    "told with each payment."
)


def sandbox_of(
    gateway: str,
    *,
    host: str,
    port: int,
    ledger_path: Path,
    faults: Faults,
    webhook_url: str,
    webhook_secret: str,
) -> SandboxServer | MollieSandbox:
    """It listens, and answers from its `start` on."""
    if gateway == "mollie":
        return MollieSandbox(host=host, port=port, ledger_path=ledger_path, faults=faults)
    return SandboxServer(
        host=host,
        port=port,
        ledger_path=ledger_path,
        webhook_url=webhook_url,
        webhook_secret=webhook_secret,
        faults=faults,
    )
