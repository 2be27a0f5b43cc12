"""Has the sandbox gateway fail, over its own door for that."""

import requests

from payments.sandbox.server import SandboxServer


def make_faults(sandbox: SandboxServer, **wishes: object) -> None:
    """Wishes are as `POST /sandbox/faults` takes them, such as `next="open:late"`."""
    answer = requests.post(f"{sandbox.url}/sandbox/faults", json=wishes, timeout=10)
    answer.raise_for_status()
