"""What the page calls things: workflows, answers to a press, calls to the bank."""

from collections.abc import Mapping

from config.local.break_it.scenes import SHOP
from config.local.crowd.records import ACKNOWLEDGED, Charge

WORKFLOWS = {
    SHOP: ("Once", "This shop: a one-time token in the form, an outbox, an idempotent worker."),
    "old": ("Old workflow", "The request stores the order, calls the bank and waits for it."),
    "notify": ("Notify", "The request announces the order; whoever hears of it charges the card."),
    "fifo-only": ("FIFO only", "A FIFO queue alone is trusted to deliver exactly once."),
}

HABITS = (
    "Each presses “Place order” one to five times, and again when no answer comes or the form "
    "comes back with another total. One in four returns later and presses as often once more."
)
HABITS_ELSEWHERE = (
    "Each presses “Place order” up to five times, and again when no answer or an error comes, "
    "until the order is shown or the card is declined."
)

ANSWERS = {
    0: "no answer",
    ACKNOWLEDGED: "the order's address",
    402: "the card was declined (402)",
    409: "the form came back, as a rule with another total (409)",
    422: "the form came back with something to correct (422)",
    429: "too many presses, wait a moment (429)",
    500: "an error (500)",
    503: "this cannot be done now, try again (503)",
    504: "the bank took too long, try again (504)",
}

MAILS = {
    "received": "order received",
    "paid": "receipt",
    "payment_failed": "payment failed",
    "action_required": "the bank waits for you",
    "still_paying": "payment takes longer",
    "cancelled": "order cancelled",
}

ASKS = {
    "open": "asks the bank to open a payment",
    "confirm": "asks the bank to charge",
    "retrieve": "asks the bank what became of the payment",
    "cancel": "asks the bank to close the payment",
    "capture": "asks the bank to charge what was sent",
    "refund": "asks the bank to send money back",
    "refunds": "asks the bank whether money was sent back",
    "disputes": "asks the bank whether somebody took the money back",
}
SAYS = {
    "": "no answer: the process died, or still waits",
    "0 found": "no",
    "open": "it is open",
    "paid": "charged",
    "declined": "the card is declined",
    "needs_action": "the customer has to approve it first",
    "promised": "the money comes in days",
    "processing": "not decided yet",
    "authorised": "the money is set aside",
    "cancelled": "it is closed",
    "expired": "it has expired",
    "pending": "the money is on its way back",
    "succeeded": "the money was sent back",
    "failed": "the money could not be sent back",
    "NotExecuted": "not now, so it is asked again",
    "OutcomeUnknown": "no usable answer, so it asks later what became of it",
    "PaymentRefused": "refused",
    "PaymentMethodRefused": "this card is refused",
    "NoSuchPayment": "there is no such payment",
    "RefundRefused": "refused",
    "GatewayMisconfigured": "the shop's key is refused",
}
WITHOUT_ANSWER = {"", "OutcomeUnknown"}


def name_of(workflow: str) -> str:
    return WORKFLOWS[workflow][0]


def starting(workflow: str) -> str:
    return f"{'Going back to' if workflow == SHOP else 'Starting'} {name_of(workflow)}…"


def answer_in_words(status: int) -> str:
    """What a shopper was told; the status 0 is that of no answer."""
    return f"answered: {told_in_words(status)}" if status else "no answer came"


def told_in_words(status: int) -> str:
    return ANSWERS.get(status, f"status {status}")


def shopper_in_words(purchase: str) -> str:
    return purchase.partition("@")[0]


def counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def price_in_words(charge: Charge) -> str:
    return f"{charge.amount_minor / 100:.2f} {charge.currency}"


def mails_in_words(mails: Mapping[str, int]) -> str:
    """Which mails they are: an order has several."""
    return ", ".join(f"“{MAILS.get(kind, kind)}” {count}" for kind, count in mails.items())
