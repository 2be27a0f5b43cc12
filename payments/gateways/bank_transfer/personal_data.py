"""What bank transfers store of a person; see `checkout.orders.privacy`. What the payer wrote is not
kept once it is known for which order the money is."""

from collections.abc import Sequence
from typing import Any

from checkout.orders.models import Order
from checkout.orders.privacy.parts import PartOfOrder, columns, register
from payments.gateways.bank_transfer.models import ExpectedTransfer, ReturnedTransfer


def _expected(order: Order) -> list[str]:
    return [payment.gateway_payment_id for payment in order.payments.all()]


def _export(order: Order) -> list[dict[str, Any]]:
    return [
        columns(each, "key", "number", "reference", "installation")
        | {
            "received": [
                columns(entry, "expected", "text", "recorded_by", "seen_to_by", "seen_to_how")
                for entry in each.received.all()
            ],
            "returned": [
                columns(back, "expected", "key", "sent_by") for back in each.returned.all()
            ],
        }
        for each in ExpectedTransfer.objects.filter(pk__in=_expected(order))
    ]


def _erase(order: Order) -> None:
    """Nothing of these rows says who the customer is."""


def _why_unfinished(order: Order) -> Sequence[str]:
    unsent = ReturnedTransfer.objects.filter(expected__in=_expected(order), sent_at=None)
    return ["a bank transfer is to be sent back by staff"] if unsent.exists() else []


register(
    PartOfOrder(name="bank transfers", export=_export, erase=_erase, unfinished=_why_unfinished)
)
