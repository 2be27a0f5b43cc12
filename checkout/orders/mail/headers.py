"""The headers that all our e-mails have."""

import uuid
from email.utils import parseaddr

from django.conf import settings


def headers(message_id: uuid.UUID) -> dict[str, str]:
    return {
        "Message-ID": f"<{message_id.hex}@{_domain()}>",
        "Auto-Submitted": "auto-generated",  # RFC 3834: no out-of-office answers, please
    }


def _domain() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
