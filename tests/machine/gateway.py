"""The gateway as a stoppable worker calls it, over HTTP to the sandbox."""

from collections.abc import Callable
from typing import TypeVar

from payments.gateways.stripe.client import StripeGateway
from payments.sandbox.server import SandboxServer
from tests.doubles.gateway import FaultyGateway
from tests.machine.hands import stop_here

Answer = TypeVar("Answer")

# Every call is heard to its end, however busy the machine: one that came to the gateway after its
# caller had gone on would make a run that cannot be repeated. Where the gateway would keep silent,
# it hangs up at once instead (`silent_seconds`), which tells a caller as little.
PATIENCE_SECONDS = 120.0


class StoppingGateway(FaultyGateway):
    def __init__(self, sandbox: SandboxServer) -> None:
        super().__init__(
            StripeGateway(
                secret_key="sk_test_shop", api_base=sandbox.url, timeout_seconds=PATIENCE_SECONDS
            )
        )

    def _around(self, step: str, key: str, call: Callable[[], Answer]) -> Answer:
        stop_here(f"before {step}")
        answer = call()
        stop_here(f"after {step}")
        return answer
