"""A program that uses the API, over Django's test client or over real sockets."""

import itertools
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from django.test import Client

from checkout.api.authentication import create_client
from checkout.models import USUAL_SCOPES
from tests.support.shopper import TYPED

ORDERS = "/api/v1/orders/"

PURCHASE: dict[str, Any] = {
    "lines": [{"sku": "SKU-01", "quantity": 2}],
    **TYPED,
    "expected_total": "20.02",
}
DECLINED = PURCHASE | {"payment_method": "pm_card_chargeDeclined"}

_names = (f"caller-{n}" for n in itertools.count())


def new_key() -> str:
    return secrets.token_hex(16)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The type of the problem, which the document must be."""
        assert self.headers["Content-Type"] == "application/problem+json", self.body
        assert self.json["status"] == self.status
        kind: str = self.json["type"]
        return kind.removeprefix("/api/v1/problems/")


@dataclass(frozen=True)
class Caller:
    token: str = ""
    url: str = ""  # empty: in this process

    def at(self, url: str) -> "Caller":
        return Caller(self.token, url)

    def send(
        self, method: str, path: str, body: bytes | None = None, **headers: str | None
    ) -> Answer:
        named = {
            name.replace("_", "-"): value for name, value in headers.items() if value is not None
        }
        if self.token:
            named.setdefault("Authorization", f"Bearer {self.token}")
        if self.url:
            response = requests.request(
                method, self.url + path, data=body, headers=named, timeout=60, allow_redirects=False
            )
            return Answer(response.status_code, response.headers, response.content)
        content_type = named.pop("Content-Type", "application/octet-stream")
        answer = Client(raise_request_exception=False).generic(
            method, path, body or b"", content_type, headers=named
        )
        return Answer(answer.status_code, answer.headers, answer.content)

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, None, **headers)

    def post(self, path: str, content: Any, key: str | None = None, **headers: str) -> Answer:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers.setdefault("Content_Type", "application/json")
        return self.send("POST", path, body, Idempotency_Key=key or new_key(), **headers)

    def place(self, key: str | None = None, content: Any = PURCHASE) -> Answer:
        return self.post(ORDERS, content, key)


def new_caller(*, scopes: Iterable[str] = USUAL_SCOPES) -> Caller:
    return Caller(create_client(next(_names), scopes, expires_in=None).token)
