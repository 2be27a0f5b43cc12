"""Rates: how often something may happen, as settings write it: `session 20/10m, shop 60000/10m`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from checkout.runtime.durations import SECONDS

# A visit of one browser, a network address, a client of the API, or everybody together.
Scope = Literal["session", "address", "client", "shop"]

WRITTEN = re.compile(
    r"(session|address|client|shop) ([1-9]\d{0,8})/([1-9]\d{0,3})([smhd])", re.ASCII
)


@dataclass(frozen=True)
class Rate:
    at_most: int
    seconds: int


Rates = Mapping[Scope, Rate]


def read_rates(text: str) -> Rates:
    """An empty text limits nothing. Raises ValueError for one that cannot be read."""
    rates: dict[Scope, Rate] = {}
    for part in text.split(",") if text.strip() else []:
        written = WRITTEN.fullmatch(part.strip())
        if written is None or written[1] in rates:
            raise ValueError(part)
        scope = cast(Scope, written[1])
        rates[scope] = Rate(int(written[2]), int(written[3]) * SECONDS[written[4]])
    return rates
