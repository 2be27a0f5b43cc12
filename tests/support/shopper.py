"""The drill's shopper, who here may also go through Django's test client."""

from typing import TYPE_CHECKING

from django.test import Client

from config.local.crowd.browser import (
    TYPED,
    Answer,
    OverHttp,
    Shopper,
    Transport,
    read_form,
    somebody_else,
)

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse

__all__ = [
    "TYPED",
    "Answer",
    "InProcess",
    "OverHttp",
    "Shopper",
    "Transport",
    "read_form",
    "somebody_else",
]


class InProcess:
    """Django's test client, with the CSRF check that a real request meets."""

    def __init__(self) -> None:
        self.client = Client(enforce_csrf_checks=True)

    def get(self, path: str) -> Answer:
        return self._answer(self.client.get(path))

    def post(self, path: str, data: dict[str, str]) -> Answer:
        return self._answer(self.client.post(path, data))

    def _answer(self, response: "_MonkeyPatchedWSGIResponse") -> Answer:
        return Answer(
            response.status_code, response.headers.get("Location", ""), response.content.decode()
        )
