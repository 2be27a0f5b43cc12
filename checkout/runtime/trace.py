"""One id from the request over the message to the gateway call: W3C Trace Context, level 1.

What is kept and sent along is a whole `traceparent`, so that the spans of OpenTelemetry, where it
is installed and configured, hang together; log lines and error pages show the trace id in it.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from checkout.runtime import spans

# W3C Trace Context, "traceparent Header": version, trace id, parent id, flags; no id is all zeros.
FORM = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
LENGTH = 55

# Enough to find a purchase among millions, and short enough to read out on the telephone.
SHORT = 12

_current: ContextVar[str] = ContextVar("traceparent", default="")


def traceparent() -> str:
    """The trace of the work under way; empty where there is none."""
    return _current.get()


def trace_id() -> str:
    return id_in(_current.get())


def id_in(traceparent: str) -> str:
    found = FORM.fullmatch(traceparent)
    return found[1] if found else ""


@contextmanager
def in_trace(traceparent: str) -> Iterator[None]:
    """What the block logs and stores belongs to this trace."""
    token = _current.set(traceparent)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def span(name: str, traceparent: str | None = None, **fields: str | int) -> Iterator[str]:
    """The block is a piece of work in this trace, or in the trace under way (None). Where the
    traceparent is empty or malformed, as one from outside may be, a new trace begins.

    `fields` go to whoever reads the spans: nothing personal and no secret.
    """
    parent = _current.get() if traceparent is None else traceparent
    if not FORM.fullmatch(parent):
        parent = ""
    with spans.span(name, parent, fields) as started, in_trace(started or parent or _new()):
        yield _current.get()


def _new() -> str:
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
