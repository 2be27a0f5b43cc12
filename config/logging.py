"""Logs are one JSON object a line: a fixed sentence and its fields."""

import traceback
from logging import LogRecord
from types import TracebackType
from typing import Any

from pythonjsonlogger.json import JsonFormatter as BaseJsonFormatter

from checkout.runtime.trace import trace_id
from checkout.user_input.card_numbers import without_card_numbers

ExceptionInfo = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


class JsonFormatter(BaseJsonFormatter):
    """Adds the trace id, which is empty outside of requests and messages, and drops what may hold a
    shopper's name: the request, the messages of exceptions, and card numbers in sentences.

    PostgreSQL quotes the offending row in its errors ("Failing row contains …"), so of an exception
    only the types, the SQLSTATE and the lines of code are logged.
    """

    def add_fields(
        self, log_data: dict[str, Any], record: LogRecord, message_dict: dict[str, Any]
    ) -> None:
        super().add_fields(log_data, record, message_dict)
        log_data.pop("request", None)
        if "message" in log_data:  # other packages log addresses of pages
            log_data["message"] = without_card_numbers(str(log_data["message"]))
        log_data["trace_id"] = trace_id()
        if directives := log_data.pop("cloudwatch_metrics", None):
            # The metadata of the embedded metric format: see orders/operations/cloudwatch.
            milliseconds = int(record.created * 1000)
            log_data["_aws"] = {"Timestamp": milliseconds, "CloudWatchMetrics": directives}

    def formatException(  # noqa: N802 - the standard library's name
        self, ei: ExceptionInfo
    ) -> str:
        lines: list[str] = []
        error: BaseException | None = ei[1]
        while error is not None:
            frames = traceback.extract_tb(error.__traceback__)
            places = " < ".join(f"{f.filename}:{f.lineno} {f.name}" for f in reversed(frames))
            sqlstate = getattr(error, "sqlstate", None)
            name = type(error).__name__ + (f" [{sqlstate}]" if sqlstate else "")
            lines.append(f"{name} at {places}" if places else name)
            error = error.__cause__ or error.__context__
        return "\n".join(lines)
