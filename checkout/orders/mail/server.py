"""The mail server of the settings, which Django 6.1 names differently than its predecessors."""

from django.conf import settings
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend


def configured_mail_server() -> BaseEmailBackend:
    if hasattr(settings, "MAILERS"):
        return mail.mailers.default
    return mail.get_connection()


def mail_backend() -> str:
    if hasattr(settings, "MAILERS"):
        return str(settings.MAILERS["default"]["BACKEND"])  # type: ignore[misc] # Django 5.2 has none
    return settings.EMAIL_BACKEND


def tells_its_password() -> bool:
    """Whether the password goes to another machine without TLS."""
    if hasattr(settings, "MAILERS"):
        options = settings.MAILERS["default"].get("OPTIONS", {})  # type: ignore[misc] # as above
        host, password = options.get("host"), options.get("password")
        is_safe = options.get("use_tls") or options.get("use_ssl")
    else:
        host, password = settings.EMAIL_HOST, settings.EMAIL_HOST_PASSWORD
        is_safe = settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL
    return bool(password) and not is_safe and host not in {"localhost", "127.0.0.1", "::1"}
