"""Error pages in the shop's own design. Each says whether anything was charged."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def error_page(request: HttpRequest, *, status: int, headline: str, sentence: str) -> HttpResponse:
    context = {"headline": headline, "sentence": sentence}
    return render(request, "error.html", context, status=status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_page(
        request,
        status=400,
        headline="We could not read that",
        sentence="Your browser sent something this shop does not understand. Nothing was ordered "
        "and nothing was charged by it.",
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_page(
        request,
        status=404,
        headline="There is nothing at this address",
        sentence="The link may be incomplete. Nothing was ordered and nothing was charged by "
        "opening it.",
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Rendered without the database, which may be what failed."""
    if isinstance(sys.exception(), (OperationalError, InterfaceError)):  # away, or its disk is full
        return unavailable(request)
    return error_page(
        request,
        status=500,
        headline="Something went wrong on our side",
        sentence="If you were placing an order, send the form again: the same form can never buy "
        "twice or charge you twice.",
    )


def unavailable(request: HttpRequest) -> HttpResponse:
    response = error_page(
        request,
        status=503,
        headline="We cannot do that just now",
        sentence="Nothing was charged by this page. Please try again in a moment; sending the same "
        "thing again can never buy twice or charge you twice.",
    )
    response.headers["Retry-After"] = "10"
    return response
