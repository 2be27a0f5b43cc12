"""What pages know of this gateway: a name, a field with test cards, and its limits."""

import re

from django.utils.translation import gettext_lazy as _

from checkout.catalogue.amounts import AmountLimits
from checkout.orders.ways_to_pay.web_side import WebSide
from payments.gateways.example.amounts import LIMITS


class ExampleWeb(WebSide):
    title = _("Card")
    template = "payments/payment_method_sandbox.html"
    method = re.compile(r"pm_card_[A-Za-z]{1,60}")
    method_if_none = None
    example_method = "pm_card_visa"

    def limits(self, currency: str) -> AmountLimits | None:
        return LIMITS.get(currency)


WEB = ExampleWeb()
