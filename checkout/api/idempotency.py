"""The Idempotency-Key header, as draft-ietf-httpapi-idempotency-key-header has it.

A key is claimed by a row in the transaction that does the work. Both are committed or neither is,
so a crash leaves no key locked, and a second request waits for the first at the unique index.
"""

import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import OperationalError, connection
from psycopg.errors import LockNotAvailable

from checkout.api.problems import KEY_MALFORMED, KEY_MISSING, Problem
from checkout.models import MAX_KEY_LENGTH, ApiRequest
from checkout.orders.placing.purchase import digest
from checkout.orders.states import OrderStatus

# RFC 8941, 3.3.3: printable ASCII in quotes, with a backslash before a quote or a backslash.
QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')

# Many clients send the same without quotes. A comma is refused: it joins two headers into one.
BARE = re.compile(r"[!#-+\--\[\]-~]+")

NAMESPACE = uuid.UUID("6f0c2a3e-6a55-4f0b-9b58-2f2f6a2f6d10")

# The row is inserted before any other work, so this statement waits for a first request with the
# same key, and no longer than the database's `lock_timeout`.
CLAIM = """
INSERT INTO checkout_apirequest
    (client_id, key, operation, fingerprint, order_id, status_code, order_status, created_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (client_id, key) DO NOTHING
"""


class KeyTaken(Exception):
    """Another request has used this key, or is at work after as long as a lock is waited for."""


@dataclass(frozen=True, kw_only=True)
class IdempotentRequest:
    """A request that is to be done once."""

    client_id: int
    key: str
    operation: ApiRequest.Operation
    fingerprint: str

    @property
    def checkout_id(self) -> uuid.UUID:
        """The checkout id that belongs to this client and key alone, and is always the same."""
        return uuid.uuid5(NAMESPACE, f"{self.client_id}:{self.key}")

    def is_repeat_of(self, earlier: ApiRequest) -> bool:
        return (earlier.operation, earlier.fingerprint) == (self.operation, self.fingerprint)


def read_key(header: str | None) -> str:
    if header is None:
        raise Problem(KEY_MISSING)
    header = header.strip(" ")
    if quoted := QUOTED.fullmatch(header):
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    else:
        key = header if BARE.fullmatch(header) else ""
    if not 0 < len(key) <= MAX_KEY_LENGTH:
        raise Problem(KEY_MALFORMED)
    return key


def fingerprint(operation: str, target: str, body: Any) -> str:
    """A digest of the canonical request: spaces and the order of names make no difference."""
    return digest({"operation": operation, "target": target, "body": body})


def find_earlier(asked: IdempotentRequest) -> ApiRequest | None:
    used = ApiRequest.objects.filter(client_id=asked.client_id, key=asked.key)
    return used.select_related("order").first()


def claim_key(
    asked: IdempotentRequest,
    order_checkout_id: uuid.UUID,
    *,
    status_code: int,
    order_status: OrderStatus,
    now: datetime,
) -> None:
    """Call this inside the transaction that does the work, before the work."""
    row = (
        *(asked.client_id, asked.key, asked.operation.value, asked.fingerprint),
        *(order_checkout_id, status_code, order_status.value, now),
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(CLAIM, row)
            is_ours = cursor.rowcount == 1
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise KeyTaken from error
        raise
    if not is_ours:
        raise KeyTaken
