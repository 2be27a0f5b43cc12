"""What gateways that are asked by `requests` have in common: calls that got no answer."""

import requests
from urllib3.exceptions import NewConnectionError

from payments.gateways.base import GatewayError, NotExecuted, OutcomeUnknown

NEVER_CONNECTED = "never_connected"


def why_unreached(error: BaseException | None) -> str:
    """`never_connected` only if not a byte of the request was sent: a slow connect is a type of
    `requests`, and a refused one or an unknown host is the reason of urllib3's error."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return NEVER_CONNECTED
    if isinstance(error, requests.exceptions.ConnectionError):
        reason = getattr(error.args[0], "reason", None) if error.args else None
        if isinstance(reason, NewConnectionError):
            return NEVER_CONNECTED
    is_timeout = isinstance(error, requests.exceptions.Timeout)
    return "timeout" if is_timeout else "connection_lost"


def unreached(error: BaseException | None) -> GatewayError:
    """What may be concluded of a call that ended with this error instead of an answer."""
    code = why_unreached(error)
    return NotExecuted(code) if code == NEVER_CONNECTED else OutcomeUnknown(code)


def seconds_in(retry_after: str) -> float | None:
    """The header Retry-After where it tells seconds, and not a date (RFC 9110, 10.2.3)."""
    return float(retry_after) if retry_after.isdecimal() else None
