"""Django's settings for the mail server: MAILERS from 6.1 on, where EMAIL_HOST warns."""

from collections.abc import Mapping
from typing import Any

import django

HAS_MAILERS = django.VERSION >= (6, 1)


def mail_settings(
    url: Mapping[str, Any], *, timeout: float, mailers: bool = HAS_MAILERS
) -> dict[str, Any]:
    """The settings for the parts that django-environ reads from EMAIL_URL."""
    if not mailers:
        return {**url, "EMAIL_TIMEOUT": timeout}
    backend = url["EMAIL_BACKEND"]
    return {"MAILERS": {"default": {"BACKEND": backend, "OPTIONS": _options(url, timeout)}}}


def _options(url: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """The options that the backend knows; it refuses others."""
    kind = url["EMAIL_BACKEND"].split(".")[-2]
    if kind == "smtp":
        return {
            "host": url["EMAIL_HOST"] or "localhost",
            "port": url["EMAIL_PORT"],
            "username": url["EMAIL_HOST_USER"],
            "password": url["EMAIL_HOST_PASSWORD"],
            "use_tls": url.get("EMAIL_USE_TLS", False),
            "use_ssl": url.get("EMAIL_USE_SSL", False),
            "timeout": timeout,
        }
    return {"file_path": url["EMAIL_FILE_PATH"]} if kind == "filebased" else {}
