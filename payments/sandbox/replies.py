"""What the server answers, and errors in the shape of Stripe API reference, Errors."""

from collections.abc import Iterable, Set
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


def refusal(code: str, message: str, *, status: int = 400, **more: Any) -> RefusalError:
    return RefusalError(error_answer(status, code, message, **more))


def unknown_object(kind: str, object_id: str, *, status: int, param: str) -> RefusalError:
    message = f"No such {kind}: '{object_id}'"
    return refusal("resource_missing", message, status=status, param=param)


def refuse_unknown_parameters(names: Iterable[str], expected: Set[str] = frozenset()) -> None:
    for name in names:
        if name not in expected:
            raise refusal("parameter_unknown", f"Received unknown parameter: {name}", param=name)


def whole_number(text: str, param: str, *, least: int = 0) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) < least:
        raise refusal("parameter_invalid_integer", f"Invalid integer: {text}", param=param)
    return int(text)


TOO_MANY = error_answer(
    429, "rate_limit", "Too many requests. Try again later.", headers={"Retry-After": "1"}
)
UNKNOWN_ERROR = error_answer(
    500, "internal_error", "An unknown error occurred.", error_type="api_error"
)
