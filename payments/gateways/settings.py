"""How a gateway's package reads its settings from the environment, at the start of each process.

Each package has a module `settings` with `read(env) -> GatewaySettings`. It needs no Django, which
is not set up by then.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.conf import settings


class Environment(Protocol):
    """A part of `config.environment.Environment`, which refuses a value that could mean something
    else with the setting's name."""

    def text(self, name: str, default: str = "") -> str: ...

    def whole(self, name: str, default: int, *, at_least: int, at_most: int = ...) -> int: ...

    def address(self, name: str) -> str: ...

    def secret(self, name: str, *, begins: Collection[str] = (), hint: str = "") -> str: ...

    def secrets(self, name: str, *, begins: Collection[str] = (), hint: str = "") -> list[str]: ...


@dataclass(frozen=True, kw_only=True)
class GatewaySettings:
    """What becomes a part of Django's settings where a shop has the gateway."""

    values: Mapping[str, object] = field(default_factory=dict)
    # From where its scripts and frames come: directives of the Content-Security-Policy.
    policy_sources: Mapping[str, list[str]] = field(default_factory=dict)
    log_levels: Mapping[str, str] = field(default_factory=dict)  # of its library's loggers


def given(name: str) -> Any:
    """A setting that a gateway's `read` has read, for the other modules of its package."""
    return getattr(settings, name)
