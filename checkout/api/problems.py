"""The errors of the API: each is a problem document (RFC 9457) whose type never changes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpRequest, JsonResponse

API_PATH = "/api/"
TYPES_PATH = "/api/v1/problems/"
MEDIA_TYPE = "application/problem+json"

# How soon a client may ask again where no better time is known.
RETRY_AFTER = timedelta(seconds=10)

# Whether the purchase of a request was charged.
Charged = bool | str
UNKNOWN = "unknown"

TRY_AGAIN = "Send the same request with the same key again: it is done once."


@dataclass(frozen=True)
class Kind:
    slug: str
    status: int
    title: str
    detail: str
    charged: Charged = False

    @property
    def type(self) -> str:
        return TYPES_PATH + self.slug


MALFORMED = Kind(
    "malformed-request", 400, "The request could not be read", "Its syntax is not valid."
)
KEY_MISSING = Kind(
    "idempotency-key-missing",
    400,
    "There is no Idempotency-Key",
    "Every POST that places, pays, cancels or sends needs one, so that it can be repeated safely.",
)
KEY_MALFORMED = Kind(
    "idempotency-key-malformed",
    400,
    "The Idempotency-Key could not be read",
    'It is a string of 1 to 255 characters in quotes, such as "8e03978e-40d5", or the same '
    "without quotes and without spaces.",
)
NOT_AUTHENTICATED = Kind(
    "not-authenticated",
    401,
    "Nobody is signed in",
    "Send a token as `Authorization: Bearer …`, and one that was not withdrawn.",
)
NOT_PERMITTED = Kind(
    "not-permitted", 403, "That is not permitted", "The token has no scope for this."
)
HTTPS_REQUIRED = Kind(
    "https-required",
    403,
    "This came over an unprotected connection",
    "Nothing was taken from it. Send it to the https:// address, and withdraw the token that it "
    "carried: anybody on the way could have read it.",
)
NOT_FOUND = Kind(
    "not-found", 404, "There is nothing at this address", "It does not exist or is not yours."
)
METHOD_NOT_ALLOWED = Kind(
    "method-not-allowed",
    405,
    "That method is not for this address",
    "`Allow` names those that are.",
)
NOT_ACCEPTABLE = Kind(
    "not-acceptable", 406, "No such representation", "Answers are in application/json alone."
)
KEY_IN_USE = Kind(
    "idempotency-key-in-use",
    409,
    "The first request with this key is still at work",
    f"Its answer will be the answer to this one too. {TRY_AGAIN}",
    UNKNOWN,
)
OUT_OF_STOCK = Kind(
    "out-of-stock",
    409,
    "There is not enough left",
    "Nothing was ordered. `products` tells what is left; the key is free for another request.",
)
TOTAL_CHANGED = Kind(
    "total-changed",
    409,
    "The total is not what was expected",
    "Nothing was ordered. `total` and `currency` tell what this purchase costs now, and `goods`, "
    "`discount`, `delivery` and `added_tax` why. Show that, and if it is right, send it as "
    "`expected_total`; the key is free for another request.",
)
NOT_PAYABLE = Kind(
    "not-payable",
    409,
    "This order does not wait for another payment",
    "Only an order whose payment was declined, or waits for its customer at their bank, can be "
    "paid with another method.",
)
NOT_CANCELLABLE = Kind(
    "not-cancellable",
    409,
    "This order cannot be cancelled now",
    "Only an order that waits for its customer can be, and in some shops a paid one of which "
    "nothing was sent. One that is being paid is decided by its payment; of another paid one the "
    "shop can send the money back.",
)
NOT_PAID = Kind("not-paid", 409, "This order is not paid", "Send nothing of it. The key is free.")
ORDER_HELD = Kind(
    "order-held",
    409,
    "This order must not be sent now",
    "Send nothing of it until the shop has seen to it. The key is free.",
)
ORDER_TAKEN_BACK = Kind(
    "order-taken-back",
    409,
    "The money for this order has gone back",
    "Send nothing of it: it was cancelled or refunded. The key is free.",
)
ALREADY_SENT = Kind(
    "already-sent",
    409,
    "There is nothing left to send",
    "All of this order has been sent. If this request was sent before, send it with its first key.",
)
TOO_MANY_PIECES = Kind(
    "too-many-pieces",
    409,
    "That is more than is left to send",
    "No parcel was entered. `lines` tells what is left of each line; the key is free.",
)
ONE_PARCEL_ONLY = Kind(
    "one-parcel-only",
    409,
    "This order can be charged once only, so it goes in one parcel",
    "Send all that is left in one parcel, or have the shop take off what cannot be sent. The key "
    "is free.",
)
LENGTH_REQUIRED = Kind(
    "length-required", 411, "The length of the body is not known", "Send a Content-Length."
)
TOO_LARGE = Kind(
    "too-large", 413, "The body is too large", "A body may have 64 KiB. It was not read."
)
UNSUPPORTED = Kind(
    "unsupported-media-type", 415, "The body is no JSON", "Send it as application/json."
)
KEY_REUSED = Kind(
    "idempotency-key-reused",
    422,
    "This key was used for another request",
    "The first one stands, and this one did nothing. Another request needs another key.",
)
INVALID = Kind(
    "invalid-request", 422, "Something in the request is not right", "`errors` names what."
)
TOTAL_NOT_PAYABLE = Kind(
    "total-not-payable",
    422,
    "This total cannot be paid",
    "Nothing was ordered. `payable` tells which amounts can be, and is null where none can in this "
    "currency. The key is free for another request.",
)
TOO_MANY = Kind(
    "too-many-requests",
    429,
    "That was more than is taken in a given time",
    f"This request did nothing. Wait as long as Retry-After says. {TRY_AGAIN}",
    UNKNOWN,
)
SERVER_ERROR = Kind(
    "server-error",
    500,
    "Something went wrong on our side",
    f"An order that was placed stays placed, and is charged once. {TRY_AGAIN}",
    UNKNOWN,
)
UNAVAILABLE = Kind(
    "unavailable",
    503,
    "That cannot be done just now",
    f"The shop could not reach its database. {TRY_AGAIN}",
    UNKNOWN,
)

KINDS = {kind.slug: kind for kind in list(globals().values()) if isinstance(kind, Kind)}


class Problem(Exception):
    """Raised by a view and answered as a problem document. `more` are members its type adds."""

    def __init__(
        self,
        kind: Kind,
        detail: str = "",
        *,
        charged: Charged | None = None,
        wait: timedelta | None = None,
        headers: Mapping[str, str] | None = None,
        **more: object,
    ) -> None:
        super().__init__(kind.slug)
        self.kind = kind
        self.detail = detail or kind.detail
        self.charged = kind.charged if charged is None else charged
        self.headers = dict(headers or {})
        if wait is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(wait.total_seconds())))
        self.more = more

    def document(self, *, about_money: bool) -> dict[str, object]:
        kind = self.kind
        members: dict[str, object] = {
            "type": kind.type,
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
        }
        if about_money:
            members["charged"] = self.charged
        return members | self.more


def is_api(request: HttpRequest) -> bool:
    return request.path.startswith(API_PATH)


def problem_page(request: HttpRequest, status: int, kind: Kind | None = None) -> JsonResponse:
    """The response to what fails outside of the views, such as an unknown host."""
    general = {400: MALFORMED, 403: NOT_PERMITTED, 404: NOT_FOUND, 429: TOO_MANY, 503: UNAVAILABLE}
    problem = Problem(kind or general.get(status, SERVER_ERROR))
    document = problem.document(about_money=request.method == "POST")
    return JsonResponse(document, status=problem.kind.status, content_type=MEDIA_TYPE)
