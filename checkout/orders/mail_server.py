"""The mail server of the settings, which Django 6.1 and those before it name differently."""

from django.conf import settings
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend


def configured_mail_server() -> BaseEmailBackend:
    if hasattr(settings, "MAILERS"):
        return mail.mailers.default
    return mail.get_connection()


def mail_backend() -> str:
    """Dotted path of what mails are given to."""
    if hasattr(settings, "MAILERS"):
        return str(settings.MAILERS["default"]["BACKEND"])  # type: ignore[misc] # Django 5.2 has none
    return settings.EMAIL_BACKEND
