"""What the tables of orders hold of a person."""

from collections.abc import Sequence
from typing import Any

from django.db.models import F
from django.db.models.functions import Now

from checkout.catalogue.stock import forget_explanations as forget_explanations_of_stock
from checkout.orders.history import forget_explanations
from checkout.orders.mail.address import has_address
from checkout.orders.models import AccountMail, CodeUse, Order, Withdrawal
from checkout.orders.privacy.parts import PartOfOrder, PartOfPerson, columns, register
from checkout.orders.privacy.unfinished import why_unfinished

# The country stays: the books say by it whose tax was charged, and it names nobody.
EMPTIED: dict[str, Any] = {
    **dict.fromkeys(("email", "full_name", "company", "phone", "vat_id"), ""),
    **dict.fromkeys(("address", "address2", "city", "postcode", "region"), ""),
    "billing": None,
    "customer": None,
    # These tell that two orders are of the same session, address or basket.
    **dict.fromkeys(("from_session", "from_address", "basket_digest"), ""),
    "action_url": "",
}


def export_order(order: Order) -> dict[str, Any]:
    mails = order.mails.values("kind", "sent_at", "gave_up_at", written_at=F("event__created_at"))
    return {
        "lines": [columns(line, "order") for line in order.lines.all()],
        "parcels": [_with_lines(each) for each in order.shipments.prefetch_related("lines")],
        "returns": [_with_lines(each) for each in order.returns.prefetch_related("lines")],
        "withdrawals": [
            columns(each, "order", "key", "decided_by") for each in order.withdrawals.all()
        ],
        "mails": [dict(mail) for mail in mails],
        # Without the names of staff, which are the data of other people.
        "events": [columns(event, "order", "actor") for event in order.events.all()],
        "needed_a_person": [
            columns(each, "order", "resolved_by") for each in order.attention.all()
        ],
        "invoices": [columns(each, "order") for each in order.invoices.all()],
        "stock": [
            columns(each, "order", "actor", "key")
            for each in order.stock_movements.exclude(explanation="")
        ],
        "told_to_other_systems": list(order.webhook_deliveries.values("kind", "sent_at")),
    }


def _with_lines(parcel: Any) -> dict[str, Any]:
    return columns(parcel, "order", "key", "sent_by", "taken_by") | {
        "lines": [columns(line) for line in parcel.lines.all()]
    }


def erase_order(order: Order) -> None:
    order.mails.filter(sent_at=None).delete()
    Order.objects.filter(pk=order.pk).update(
        **EMPTIED, link_version=F("link_version") + 1, erased_at=Now()
    )
    # Whoever has no address any more shares no customer's count of a code with anybody.
    CodeUse.objects.filter(order=order).update(customer_key=f"erased-{order.pk}")
    forget_explanations(order.pk)
    forget_explanations_of_stock(order.pk)
    order.attention.update(resolution="")
    order.shipments.update(tracking_number="", tracking_link="")
    _empty(order.withdrawals.all())


def _empty(withdrawals: Any) -> None:
    withdrawals.update(number="", full_name="", email="", about="", decided_why="")


def _export_withdrawals(email: str) -> list[dict[str, Any]]:
    found = Withdrawal.objects.filter(has_address(email), order=None)
    return [columns(each, "key", "decided_by") for each in found]


def _erase_withdrawals(email: str) -> Sequence[str]:
    """Those of no order, and those of somebody else's order in which this address was typed."""
    theirs = Withdrawal.objects.filter(has_address(email))
    _empty(theirs.exclude(status=Withdrawal.Status.STATED))
    open_ones = theirs.filter(status=Withdrawal.Status.STATED, order=None).count()
    if not open_ones:
        return []
    return [f"Nobody has decided about {open_ones} withdrawals that name no order; they are kept."]


def _export_account_mails(email: str) -> list[dict[str, Any]]:
    found = AccountMail.objects.filter(has_address(email))
    told = found.values("kind", "number", "language", "created_at", "sent_at")
    return [dict(mail) for mail in told]


def _erase_account_mails(email: str) -> Sequence[str]:
    AccountMail.objects.filter(has_address(email)).delete()
    return []


register(
    PartOfOrder(name="order", export=export_order, erase=erase_order, unfinished=why_unfinished),
    PartOfPerson(
        name="withdrawals_without_order", export=_export_withdrawals, erase=_erase_withdrawals
    ),
    PartOfPerson(name="mails_asked_for", export=_export_account_mails, erase=_erase_account_mails),
)
