"""Mollie's web side: how customers come back, and the hook that names a payment."""

import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from checkout.catalogue.amounts import AmountLimits
from checkout.orders.models import Order
from checkout.orders.ways_to_pay.web_side import BadEvent, Hint, Waiting, WebSide
from payments.gateways.mollie import amounts

PAYMENT_ID = re.compile(r"tr_[A-Za-z0-9]{1,60}")

# Added to the address that customers come back to, for Mollie adds nothing itself.
RETURN_MARK = ("back", "mollie")


class MollieWeb(WebSide):
    title = _("iDEAL, Bancontact, PayPal and others")
    hint = _("You choose on Mollie's page, and come back here.")
    # Mollie API reference, "Create payment", method. Empty: its customer chooses on Mollie's page.
    method = re.compile(r"[a-z][a-z0-9]{1,29}|")

    def limits(self, currency: str) -> AmountLimits | None:
        return amounts.limits(currency)

    def waiting(self, order: Order) -> Waiting:
        return Waiting(
            headline=gettext("One step is left: your payment"),
            before=gettext(
                "You pay on Mollie's page, where you choose how, and come back here. Or choose "
                "another way to pay below."
            ),
            next=gettext("Next: pay on Mollie's page, or choose another way to pay."),
            button=gettext("Pay on Mollie's page"),
        )

    def is_return(self, params: Mapping[str, Any]) -> bool:
        name, value = RETURN_MARK
        return params.get(name) == value

    def read_event(self, body: bytes, headers: Mapping[str, str], *, now: datetime) -> Hint:
        """Mollie docs, "Webhooks": the body is `id=tr_…`, and nothing signs it."""
        ids = parse_qs(body.decode("ascii", "replace")).get("id", [])
        if len(ids) != 1 or not PAYMENT_ID.fullmatch(ids[0]):
            raise BadEvent
        return Hint(
            kind="payment",
            # The hook has no id: each is one of its own, and is put off where one was just heard.
            event_id=f"mollie-{secrets.token_hex(16)}",
            payment_ids=(ids[0],),
            is_signed=False,
        )


WEB = MollieWeb()
