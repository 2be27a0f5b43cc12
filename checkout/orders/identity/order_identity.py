"""The name of an order outside of its database.

An order's number is unique only within one database: every installation begins at the same one,
and a restored backup gives the numbers of its lost hour to other orders. So the gateway and the
queue are told its reference and installation too. What comes back is ours only when both match.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class OrderIdentity:
    """An order as the gateway and the queue know it. Reference and installation are empty where an
    older release or another shop wrote the message."""

    number: str = ""  # for people; does not say whose order it is
    reference: str = ""
    installation: str = ""
