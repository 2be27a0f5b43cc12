"""The shop's payment gateways, by name. `PAYMENT_GATEWAYS` says which package each is."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string


def gateway_names() -> list[str]:
    """In the order in which the shop names them; the first takes what nobody chose another for."""
    return list(settings.PAYMENT_GATEWAYS)


def part_of(gateway: str, name: str) -> Any:
    """What the gateway's package has under this dotted name. An empty gateway is the shop's first;
    KeyError where the shop has none of this name."""
    packages: Mapping[str, str] = settings.PAYMENT_GATEWAYS
    return import_string(f"{packages[gateway or gateway_names()[0]]}.{name}")
