"""Every reason why a person must look at an order, and what ends it.

A reason is stored with its order in these words. Each is ended by an event that the shop sees
itself; staff who have solved the problem by other means may end the reason by hand.
"""

UNKNOWN_TOO_LONG = "The gateway has not said for 20 hours whether it charged"
PROMISED_TOO_LONG = "Promised by the bank 30 days ago, and the money is not here"
CHARGED_TWICE = "Charged a second time; a refund is prepared"
PAID_AFTER_CANCELLATION = "Paid after it was cancelled, and sold out; a refund is prepared"
PAID_WITHOUT_ITS_CODE = (
    "Paid after it was cancelled, and its discount code is used up; a refund is prepared"
)
PAID_AFTER_ERASURE = "Paid after its customer's data was erased; a refund is prepared"
OVERCHARGED = "Charged more than it cost; a refund of the difference is prepared"
WRONG_AMOUNT = "The gateway charged less than it cost, or another currency"
PART_CAME = "Less money came than the order costs; the rest is awaited"
REFUSED = "The gateway refused the payment itself, not the card; its reason is in the order's story"
UNKNOWN_TO_GATEWAY = "The gateway does not know a payment that may have been charged"
REFUND_FAILED = "A refund was not made; the gateway says why"
REFUND_CAME_BACK = "A refund that had been sent came back; its customer has no money yet"
CANCELLED_UNREFUNDED = "Cancelled after it was paid, and its money could not be sent back"
AUTHORISATION_ENDS = "The bank keeps the money until tomorrow, and not everything is sent"
LAPSED = "The bank keeps the money no longer, and not everything was charged"
NOT_CAPTURED = "A parcel was sent and could not be charged; the reason is in the order's story"
DISPUTED = "The customer's bank disputes the charge; answer at the gateway's own site"
WITHDRAWN = "A customer has withdrawn; decide about it"

# A surplus is what was charged beyond the order's price.
SURPLUS_REASONS = (
    *(CHARGED_TWICE, PAID_AFTER_CANCELLATION, PAID_WITHOUT_ITS_CODE),
    *(PAID_AFTER_ERASURE, OVERCHARGED),
)

_SURPLUS_GOES_BACK = (
    "All that was charged too much has been sent back: agree to the prepared refund, or refund it "
    "at the gateway's own site."
)

_SENT_AGAIN = "The same amount is sent back after all: “Send money back” on this page."

# The customer knows of these already: from their bank, or because they did it.
NOT_FOR_CUSTOMERS = {DISPUTED, WITHDRAWN}

# Reason → what ends it, as staff read it.
ENDED_BY = {
    UNKNOWN_TOO_LONG: (
        "The gateway tells the outcome, or a person resolves it: “Resolve an unknown outcome”."
    ),
    PROMISED_TOO_LONG: (
        "The gateway tells that the money came, or that it will not: ask there what became of it."
    ),
    CHARGED_TWICE: _SURPLUS_GOES_BACK,
    PAID_AFTER_CANCELLATION: _SURPLUS_GOES_BACK,
    PAID_WITHOUT_ITS_CODE: _SURPLUS_GOES_BACK,
    PAID_AFTER_ERASURE: _SURPLUS_GOES_BACK,
    OVERCHARGED: _SURPLUS_GOES_BACK,
    WRONG_AMOUNT: (
        "The gateway tells the right amount, the charge has wholly been sent back at the gateway's "
        "own site, or a person resolves it: “Resolve an unknown outcome”."
    ),
    PART_CAME: (
        "The rest comes, or the order is paid otherwise. Or it is cancelled, after what came has "
        "been sent back."
    ),
    REFUSED: (
        "Another card pays, or a bank answers about one, or the order is cancelled: until then the "
        "customer may be refused again."
    ),
    UNKNOWN_TO_GATEWAY: (
        "The gateway tells the outcome, or a person finds it in the account that was used before: "
        "“Resolve an unknown outcome”."
    ),
    REFUND_FAILED: _SENT_AGAIN,
    REFUND_CAME_BACK: _SENT_AGAIN,
    CANCELLED_UNREFUNDED: (
        "All of its money is sent back: “Send money back” on this page, or the bank has taken it."
    ),
    AUTHORISATION_ENDS: (
        "Everything is sent, or its price given up (“Send money back”), or the order is cancelled. "
        "Or the bank keeps the money no longer."
    ),
    LAPSED: (
        "The customer pays otherwise, what was not sent is given up (“Send money back”), or the "
        "order is cancelled."
    ),
    NOT_CAPTURED: (
        "It is charged with the next parcel, or the customer pays otherwise, which they are asked "
        "for once the bank keeps the money no longer."
    ),
    DISPUTED: "The bank decides, and the gateway tells how: won, lost or closed.",
    WITHDRAWN: "A person agrees or refuses: “Decide about the withdrawal”.",
}

BY_HAND = "A person says so: “Seen to it”."


def what_ends(reason: str) -> str:
    return ENDED_BY.get(reason, BY_HAND)
