"""What the server answers, and errors in the shape of Stripe API reference, Errors."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    body: Json
    headers: dict[str, str] = field(default_factory=dict)
    withheld: bool = False  # everything happened, but the client is never told
    cut: bool = False  # everything happened, but the connection is reset instead of an answer


class RefusalError(Exception):
    """The request was turned away before it was executed, so nothing is stored under its key."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body["error"]["code"])
        self.answer = answer


def error_answer(
    status: int,
    code: str,
    message: str,
    *,
    error_type: str = "invalid_request_error",
    headers: dict[str, str] | None = None,
    **fields: object,
) -> Answer:
    error = {"type": error_type, "code": code, "message": message, **fields}
    return Answer(status=status, body={"error": error}, headers=headers or {})


def unknown_object(kind: str, object_id: str, *, status: int, param: str) -> RefusalError:
    message = f"No such {kind}: '{object_id}'"
    return RefusalError(error_answer(status, "resource_missing", message, param=param))
