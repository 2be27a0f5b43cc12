"""What pages and mails say of a bank transfer: the account, the amount and the reference."""

from datetime import timedelta

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from stdnum import iban

from checkout.catalogue.money import show_money
from checkout.orders.models import Order
from checkout.orders.ways_to_pay.web_side import Waiting, WebSide
from payments.gateways.settings import given


class BankTransferWeb(WebSide):
    title = _("Bank transfer")
    hint = _("You send the money from your bank. We send your order when it has arrived.")
    customer_sends = True
    # Staff record what comes, and the order is asked about at once. This is only for what was lost.
    asks_every = timedelta(days=1)

    def waiting(self, order: Order) -> Waiting:
        facts = [
            (gettext("Account holder"), given("BANK_TRANSFER_HOLDER")),
            ("IBAN", iban.format(given("BANK_TRANSFER_IBAN"))),
            ("BIC", given("BANK_TRANSFER_BIC")),
            (gettext("Amount"), show_money(order.total)),
            (gettext("Reference"), order.number),
        ]
        return Waiting(
            headline=gettext("We wait for your transfer"),
            before=gettext(
                "Please send the amount with the reference below, so that we know it is yours. "
                "What you ordered stays set aside for you for %(days)s days."
            )
            % {"days": given("BANK_TRANSFER_DAYS")},
            next=gettext(
                "Next: your transfer arrives, which can take some days, and we write to you. Or "
                "choose another way to pay below."
            ),
            facts=[(name, value) for name, value in facts if value],
        )


WEB = BankTransferWeb()
