"""What is put out of use when a backup was restored, because it could act a second time. Each app
names its own (`register` when it is loaded), as with the ends of old rows."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class OutOfUse:
    what: str  # in the report, such as "checkout forms"
    # Runs once for each restore, in the transaction that notes it; returns how many there were.
    put: Callable[[], int]


PUT_OUT_OF_USE: dict[str, OutOfUse] = {}


def register(*acts: OutOfUse) -> None:
    PUT_OUT_OF_USE.update({act.what: act for act in acts})
