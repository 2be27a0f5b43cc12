"""The page at Mollie on which a customer chooses how the payment ends."""

from html import escape

from payments.sandbox.replies import Json

CHOICES = {
    "paid": "Pay",
    "failed": "The bank refuses",
    "canceled": "Cancel",
    "pending": "Pay, and the bank takes its time",
    "open": "Come back without paying",
}


def checkout_page(payment: Json) -> str:
    amount = payment["amount"]
    buttons = "".join(
        f'<p><button name="status" value="{status}">{words}</button></p>'
        for status, words in CHOICES.items()
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>Test payment</title><h1>Test payment</h1>"
        f"<p>{escape(payment['description'])}: "
        f"{escape(amount['value'])} {escape(amount['currency'])}. No money moves.</p>"
        f'<form method="post">{buttons}</form></html>'
    )
