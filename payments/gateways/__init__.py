from django.conf import settings
from django.utils.module_loading import import_string

from payments.gateways.base import Gateway


def load_gateway() -> Gateway:
    """The gateway named by `PAYMENT_GATEWAY`. Make it once for a process: threads may share it."""
    gateway: Gateway = import_string(settings.PAYMENT_GATEWAY).from_settings()
    return gateway
