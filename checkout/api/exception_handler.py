"""Every exception that a view of the API raises is answered by a problem document."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from checkout.api import problems
from checkout.middleware.lost_connections import will_be_repeated
from checkout.runtime.database import is_database_away

logger = logging.getLogger(__name__)


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """The setting EXCEPTION_HANDLER of Django REST framework. It raises the error again where this
    returns None; then the request is repeated over a new database connection."""
    set_rollback()
    view, request = context["view"], context["request"]
    if will_be_repeated(request._request, error):
        return None
    problem = error if isinstance(error, problems.Problem) else _problem_of(error)
    if problem.kind is problems.SERVER_ERROR:
        logger.error("A request to the API failed", exc_info=error)
    else:
        extra = {"status": problem.kind.status, "problem": problem.kind.slug}
        logger.info("A request to the API was refused", extra=extra)
    is_about_money = request.method == "POST" and getattr(view, "is_about_money", True)
    response = Response(
        problem.document(about_money=is_about_money),
        status=problem.kind.status,
        headers=problem.headers,
        content_type=problems.MEDIA_TYPE,
    )
    response.exception = True
    return response


# The errors that the frameworks raise by themselves, and which of our problems they are.
FRAMEWORK: dict[type[Exception], problems.Kind] = {
    exceptions.ParseError: problems.MALFORMED,
    SuspiciousOperation: problems.MALFORMED,
    exceptions.PermissionDenied: problems.NOT_PERMITTED,
    PermissionDenied: problems.NOT_PERMITTED,
    exceptions.NotFound: problems.NOT_FOUND,
    Http404: problems.NOT_FOUND,
    exceptions.MethodNotAllowed: problems.METHOD_NOT_ALLOWED,
    exceptions.NotAcceptable: problems.NOT_ACCEPTABLE,
    exceptions.UnsupportedMediaType: problems.UNSUPPORTED,
}


def _problem_of(error: Exception) -> problems.Problem:
    if isinstance(error, (exceptions.NotAuthenticated, exceptions.AuthenticationFailed)):
        challenge = getattr(error, "auth_header", "Bearer")
        return problems.Problem(problems.NOT_AUTHENTICATED, headers={"WWW-Authenticate": challenge})
    if isinstance(error, exceptions.ValidationError):
        return problems.Problem(problems.INVALID, errors=error_list(error.detail))
    if isinstance(error, exceptions.Throttled):
        return problems.Problem(
            problems.TOO_MANY, wait=timedelta(seconds=getattr(error, "wait", None) or 1)
        )
    if is_database_away(error):
        logger.warning("The API could not reach the database", exc_info=error)
        return problems.Problem(problems.UNAVAILABLE, wait=problems.RETRY_AFTER)
    for kind_of_error, kind in FRAMEWORK.items():
        if isinstance(error, kind_of_error):
            csrf = isinstance(error, exceptions.PermissionDenied) and "CSRF" in str(error.detail)
            return problems.Problem(kind, "The CSRF token is missing or wrong." if csrf else "")
    return problems.Problem(problems.SERVER_ERROR)


def error_list(detail: Any, pointer: str = "") -> list[dict[str, str]]:
    """Flatten nested errors into a list, each with a JSON pointer to its place (RFC 6901)."""
    parts: list[tuple[object, Any]]
    if isinstance(detail, dict):
        parts = list(detail.items())
    elif isinstance(detail, list) and any(isinstance(part, dict | list) for part in detail):
        parts = list(enumerate(detail))
    else:
        messages = detail if isinstance(detail, list) else [detail]
        return [{"pointer": pointer, "detail": str(message)} for message in messages]
    found: list[dict[str, str]] = []
    for name, part in parts:
        is_of_the_whole = name in ("non_field_errors", "__all__")
        token = str(name).replace("~", "~0").replace("/", "~1")
        found += error_list(part, pointer if is_of_the_whole else f"{pointer}/{token}")
    return found
