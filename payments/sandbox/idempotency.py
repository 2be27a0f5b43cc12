"""Keeps idempotency keys by the rules of Stripe API reference, Idempotent requests."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from payments.sandbox.replies import Answer, Json, refusal

# "You can remove keys from the system automatically after they're at least 24 hours old."
KEYS_KEPT = timedelta(hours=24)

MAX_KEY_LENGTH = 255


@dataclass(frozen=True, kw_only=True)
class StoredAnswer:
    fingerprint: str  # of the request that was answered
    status: int
    body: Json
    at: datetime

    def replayed(self) -> Answer:
        return Answer(status=self.status, body=self.body, headers={"Idempotent-Replayed": "true"})


class IdempotencyKeys:
    def __init__(self) -> None:
        self._stored: dict[str, StoredAnswer] = {}
        self._in_flight: set[str] = set()
        self._lock = threading.Lock()

    def store(self, key: str, answer: StoredAnswer) -> None:
        with self._lock:
            self._stored[key] = answer

    @contextmanager
    def claim(self, key: str, *, fingerprint: str, now: datetime) -> Iterator[StoredAnswer | None]:
        """Gives the answer that is stored under the key, or None and holds the key meanwhile."""
        with self._lock:
            earlier = self._earlier(key, fingerprint, now)
            if earlier is None:
                self._in_flight.add(key)
        try:
            yield earlier
        finally:
            if earlier is None:
                with self._lock:
                    self._in_flight.discard(key)

    def _earlier(self, key: str, fingerprint: str, now: datetime) -> StoredAnswer | None:
        if len(key) > MAX_KEY_LENGTH:
            message = f"Idempotency keys can be at most {MAX_KEY_LENGTH} characters long."
            raise refusal("parameter_invalid_string_value", message)
        if key in self._in_flight:
            message = "Another request with this idempotency key is in progress."
            raise refusal("idempotency_key_in_use", message, status=409)
        stored = self._stored.get(key)
        if stored is None or now - stored.at >= KEYS_KEPT:
            return None
        if stored.fingerprint != fingerprint:
            message = "This idempotency key was first used with another endpoint or parameters."
            raise refusal("idempotency_error", message, error_type="idempotency_error")
        return stored
