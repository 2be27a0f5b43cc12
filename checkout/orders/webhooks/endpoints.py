"""The endpoints to which the shop sends webhooks. Operators alone change them, at the command line:
the shop sends to whatever address they give, inside its own network too."""

import socket
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from checkout.orders.models import (
    WebhookEndpoint,
    WebhookKind,
    new_secret,
    open_deliveries,
)
from checkout.orders.webhooks.catch_up import StillUnderWay, add_missed
from checkout.orders.webhooks.http import is_forbidden
from checkout.runtime.terminal import Progress

HERE = ("127.0.0.1", "localhost")


class EndpointRefused(Exception):
    """Nothing was done. The message says why."""


def add_endpoint(
    url: str,
    kinds: Collection[str] = (),
    *,
    since: datetime | None = None,
    progress: Progress = lambda count: None,
) -> WebhookEndpoint:
    """Without `kinds` it gets webhooks of every kind; with `since` also those about the past."""
    _check_address(url)
    url = _one_spelling(url)
    if there := _kept().filter(url=url).first():
        raise EndpointRefused(f"Endpoint {there.pk} has this address already.")
    wanted = _kinds_named(kinds)
    if since is None:
        return WebhookEndpoint.objects.create(url=url, kinds=wanted)
    # Off until all is written, so that the events of an order go out in their order.
    endpoint = WebhookEndpoint.objects.create(
        url=url, kinds=wanted, is_active=False, off_reason="Being added"
    )
    return switch_on(endpoint.pk, since=since, progress=progress)


def choose_kinds(endpoint_id: int, kinds: Collection[str] = ()) -> WebhookEndpoint:
    """Have the endpoint told of these kinds from now on; without any, of every kind there is. What
    waits for it already is sent."""
    changed = _kept().filter(pk=endpoint_id)
    _must_be(changed.update(kinds=_kinds_named(kinds)))
    return changed.get()


def _kinds_named(kinds: Collection[str]) -> list[str]:
    if unknown := set(kinds) - set(WebhookKind.values):
        raise EndpointRefused(
            f"There is no {', '.join(sorted(unknown))}. There are {', '.join(WebhookKind.values)}."
        )
    return [kind for kind in WebhookKind.values if not kinds or kind in kinds]


def rotate_secret(endpoint_id: int, *, now: datetime) -> WebhookEndpoint:
    """Give the endpoint a new secret. The one before it signs as well, for a week."""
    secret = new_secret()
    changed = _kept().filter(pk=endpoint_id)
    _must_be(changed.update(previous_secret=F("secret"), secret=secret, rotated_at=now))
    return changed.get()


def switch_on(
    endpoint_id: int, *, since: datetime | None = None, progress: Progress = lambda count: None
) -> WebhookEndpoint:
    """Send what has waited for the endpoint; with `since` also what was given up or not written."""
    found = _kept().filter(pk=endpoint_id)
    if since is not None and found.exists():
        _add_missed(endpoint_id, since, progress)
    _must_be(found.update(is_active=True, off_reason="", off_since=None, on_since=Now()))
    return found.get()


def _add_missed(endpoint_id: int, since: datetime, progress: Progress) -> None:
    try:
        add_missed(endpoint_id, since=since, progress=progress)
    except StillUnderWay:
        raise EndpointRefused(
            f"Endpoint {endpoint_id} is kept and off: a transaction of before is still under way. "
            f"Repeat `webhook_endpoints enable {endpoint_id} --since …`; `rotate` makes a secret."
        ) from None


def remove_endpoint(endpoint_id: int, *, now: datetime) -> int:
    """Return how many deliveries are given up by that. Those that were sent stay."""
    with transaction.atomic():
        removed = _kept().filter(pk=endpoint_id)
        _must_be(
            removed.update(
                is_active=False,
                off_reason="Removed",
                off_since=now,
                removed_at=now,
                secret="",
                previous_secret="",
            )
        )
        return open_deliveries().filter(endpoint=endpoint_id).update(gave_up_at=now)


def list_endpoints() -> list[tuple[WebhookEndpoint, int]]:
    return [(endpoint, waiting_for(endpoint.pk)) for endpoint in _kept()]


def waiting_for(endpoint_id: int) -> int:
    return open_deliveries().filter(endpoint=endpoint_id).count()


def _kept() -> QuerySet[WebhookEndpoint]:
    return WebhookEndpoint.objects.filter(removed_at=None)


def _must_be(found: int) -> None:
    if not found:
        raise EndpointRefused("There is no such endpoint; `webhook_endpoints list` tells them.")


def _check_address(url: str) -> None:
    no_address = EndpointRefused("That is no address. It looks like https://erp.example/hooks.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise no_address from None
    if not host or not url.isprintable() or " " in url or len(url) > 500:
        raise no_address
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise EndpointRefused("The address must hold no user, no password and no #fragment.")
    if parts.scheme != "https" and not (
        parts.scheme == "http" and (settings.DEBUG or host in HERE)
    ):
        raise EndpointRefused("The address must begin with https://, unless it is on this machine.")
    if any(is_forbidden(address) for address in _addresses_of(host, port)):
        raise EndpointRefused("That address is link-local, where a cloud keeps its credentials.")


def _one_spelling(url: str) -> str:
    """The address with its host in small letters and without the usual port."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    usual = {"https": 443, "http": 80}[parts.scheme]
    port = f":{parts.port}" if parts.port not in {None, usual} else ""
    return urlunsplit((parts.scheme, f"{host}{port}", parts.path or "/", parts.query, ""))


def _addresses_of(host: str, port: int | None) -> list[str]:
    """The addresses that a host has now. They are checked again with each connection."""
    with suppress(OSError, UnicodeError):
        return [str(found[4][0]) for found in socket.getaddrinfo(host, port)]
    return []
