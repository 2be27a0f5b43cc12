"""The page of the customer's bank in 3-D Secure: approve the payment, or refuse it."""

from html import escape
from urllib.parse import urlencode

from payments.sandbox.intents import Intent

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Your bank</title>
<style>
  body {{ font: 18px/1.5 sans-serif; max-width: 26rem; margin: 3rem auto; padding: 0 1rem; }}
  button {{ font: inherit; padding: .75rem 1.5rem; margin: 0 .5rem .5rem 0; }}
</style>
<h1>Your bank</h1>
{content}
</html>
"""

QUESTION = """<p>Do you approve a payment of {amount} {currency}?</p>
<p>This is a test: no money moves.</p>
<form method="post">
  <button name="answer" value="approve">Approve</button>
  <button name="answer" value="refuse">Refuse</button>
</form>"""


def bank_page(intent: Intent) -> str:
    if intent.status == "requires_action":
        amount = f"{intent.amount / 100:.2f}"
        content = QUESTION.format(amount=amount, currency=escape(intent.currency.upper()))
    else:
        content = f"<p>There is nothing to approve: this payment is {escape(intent.status)}.</p>"
    return PAGE.format(content=content)


def way_back(intent: Intent) -> str:
    """The return_url with the outcome. Stripe docs, "3D Secure authentication flow"."""
    if not intent.return_url:
        return ""
    is_approved = intent.status in {"succeeded", "requires_capture"}
    outcome = "succeeded" if is_approved else "failed"
    told = urlencode({"payment_intent": intent.id, "redirect_status": outcome})
    return f"{intent.return_url}{'&' if '?' in intent.return_url else '?'}{told}"
