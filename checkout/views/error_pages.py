"""Error pages in the shop's design. Each says whether anything was charged."""

import logging
import math
import sys
from collections.abc import Sequence

from django.conf import settings
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checkout.access import OrderHidden
from checkout.api.problems import HTTPS_REQUIRED, Kind, is_api, problem_page
from checkout.runtime.database import is_database_away

logger = logging.getLogger(__name__)


def error_page(
    request: HttpRequest,
    *,
    status: int,
    headline: str,
    sentence: str,
    kind: Kind | None = None,
    typed: Sequence[tuple[str, str]] = (),
) -> HttpResponse:
    """`kind` is the problem that the API reports, where the status alone does not decide it.
    `typed` are labels and texts that are shown again."""
    logger.info("An error page was shown", extra={"status": status, "view": _view_name(request)})
    if is_api(request):
        return problem_page(request, status, kind)
    context = {
        "headline": headline,
        "sentence": sentence,
        "typed": typed,
        "without_database": True,
    }
    return render(request, "error.html", context, status=status)


def _view_name(request: HttpRequest) -> str:
    """The view's name, since addresses may contain references; empty for unknown addresses."""
    return request.resolver_match.view_name if request.resolver_match else ""


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if isinstance(exception, SessionInterrupted):
        return signed_out_meanwhile(request)
    return error_page(
        request,
        status=400,
        headline=_("We could not read that"),
        sentence=_(
            "Your browser sent something this shop does not understand. Nothing was ordered "
            "and nothing was charged by it."
        ),
    )


def signed_out_meanwhile(request: HttpRequest) -> HttpResponse:
    """Another request has ended the session. What this one did is done."""
    return error_page(
        request,
        status=400,
        headline=_("You signed in or out in another tab"),
        sentence=_(
            "That happened while your request was on its way. Nothing was charged by this page. "
            "Look at your cart and your orders before you send anything again; the same form can "
            "never buy twice or charge you twice."
        ),
    )


def https_required(request: HttpRequest) -> HttpResponse:
    return error_page(
        request,
        status=403,
        headline=_("This came over an unprotected connection"),
        sentence=_(
            "Somebody on the way could have read or changed it, so we took nothing from it: "
            "nothing was stored, ordered or charged. Open the shop with https:// at the beginning "
            "of its address, and send it again from there."
        ),
        kind=HTTPS_REQUIRED,
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return error_page(
        request,
        status=403,
        headline=_("This page is not open to you"),
        sentence=_(
            "You may have to sign in as somebody else. Nothing was ordered and nothing was "
            "charged by opening it."
        ),
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if isinstance(exception, OrderHidden):
        logger.info("An order was not shown", extra={"view": _view_name(request)})
        return render(request, "orders/hidden.html", status=404)
    return error_page(
        request,
        status=404,
        headline=_("There is nothing at this address"),
        sentence=_(
            "The link may be incomplete. Nothing was ordered and nothing was charged by opening it."
        ),
    )


def too_many_requests(request: HttpRequest, retry_after_seconds: float) -> HttpResponse:
    """Rendered without the database, which a request over a limit should not cost anything."""
    seconds = max(1, math.ceil(retry_after_seconds))
    again = (
        _(
            "Then reload this page and let your browser send the form again: everything you typed "
            "is in it, and the same form can never buy twice or charge you twice."
        )
        if request.method == "POST"
        else _("Then reload this page.")
    )
    response = error_page(
        request,
        status=429,
        headline=_("Please wait a moment"),
        sentence=_(
            "That was more than we take from one place at a time. Nothing was ordered and "
            "nothing was charged by it. You can try again %(wait)s. %(again)s"
        )
        % {"wait": wait_in_words(seconds), "again": again},
    )
    response.headers["Retry-After"] = str(seconds)
    patch_cache_control(response, no_store=True)
    return response


def locked_out(
    request: HttpRequest, response: HttpResponse | None, credentials: dict[str, str] | None
) -> HttpResponse:
    """The page after too many wrong passwords for one name; django-axes calls it."""
    return too_many_requests(request, settings.AXES_COOLOFF_TIME.total_seconds())


def wait_in_words(seconds: int) -> str:
    """The time is rounded up, so that whoever waits for so long is let in."""
    if seconds <= 90:
        return ngettext("in %(n)d second", "in %(n)d seconds", seconds) % {"n": seconds}
    if seconds <= 90 * 60:
        return _("in %(n)d minutes") % {"n": math.ceil(seconds / 60)}
    return _("in %(n)d hours") % {"n": math.ceil(seconds / 3600)}


def server_error(request: HttpRequest) -> HttpResponse:
    """Rendered without the database, which may be what failed."""
    if is_database_away(sys.exception()):
        return unavailable(request)
    return error_page(
        request,
        status=500,
        headline=_("Something went wrong on our side"),
        sentence=_(
            "An order that was placed stays placed, and is charged once. If you were placing "
            "one, send the form again: the same form can never buy twice or charge you twice."
        ),
    )


def unavailable(request: HttpRequest) -> HttpResponse:
    response = error_page(
        request,
        status=503,
        headline=_("We cannot do that just now"),
        sentence=_(
            "A part of this shop does not answer at the moment, and nothing was charged by this "
            "page. Please try again in a moment; sending the same thing again can never buy twice "
            "or charge you twice."
        ),
    )
    response.headers["Retry-After"] = "10"
    return response
