"""What happens to payments and refunds at Mollie, as its documentation tells it.

Mollie docs, "Handling payment status", "API idempotency", "Pagination"; Mollie API reference,
"Create payment", "Cancel payment", "Create payment refund".
"""

import json
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from moneyed import CurrencyDoesNotExist, get_currency

from payments.sandbox.clock import Clock
from payments.sandbox.ledger import Ledger
from payments.sandbox.replies import Answer, Json

KEYS_KEPT = timedelta(hours=1)
OPEN_FOR = timedelta(minutes=15)

METHODS = {"creditcard", "ideal", "bancontact", "paypal", "banktransfer"}
FINAL = {"paid", "canceled", "expired", "failed"}
MOST_ON_A_PAGE = 250

CURRENCIES = {
    *("AED", "AUD", "BGN", "BRL", "CAD", "CHF", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS"),
    *("ISK", "JPY", "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "RON", "RUB", "SEK", "SGD", "THB"),
    *("TWD", "USD", "ZAR"),
}
LARGEST = Decimal(1_000_000)


@dataclass(kw_only=True)
class Payment:
    id: str
    created_at: datetime
    wanted: Json
    status: str = "open"
    paid_at: datetime | None = None
    refunds: list[Json] = field(default_factory=list)
    chargebacks: list[Json] = field(default_factory=list)

    @property
    def is_cancelable(self) -> bool:
        return self.status == "open"

    def as_line(self) -> Json:
        times = {"created_at": self.created_at.isoformat()}
        times["paid_at"] = self.paid_at.isoformat() if self.paid_at else ""
        return vars(self) | times

    @classmethod
    def of_line(cls, line: Json) -> "Payment":
        paid_at = datetime.fromisoformat(line["paid_at"]) if line["paid_at"] else None
        created_at = datetime.fromisoformat(line["created_at"])
        return cls(**{**line, "created_at": created_at, "paid_at": paid_at})


class Refused(Exception):
    def __init__(self, status: int, detail: str, field_name: str = "") -> None:
        super().__init__(detail)
        body = {"status": status, "title": "Unprocessable Entity", "detail": detail}
        self.answer = Answer(
            status=status, body=body | ({"field": field_name} if field_name else {})
        )


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    path: str  # below /v2/, without the query
    params: dict[str, str]
    body: Json
    idempotency_key: str = ""


class Account:
    """With a ledger nothing is forgotten that was answered, also when its process is killed."""

    def __init__(
        self,
        *,
        clock: Clock,
        hook: Callable[[str, str], None],
        ledger: Ledger | None = None,
    ) -> None:
        self.url = ""  # known when the server listens
        self._clock = clock
        self._hook = hook
        self._payments: dict[str, Payment] = {}
        self._keys: dict[str, tuple[datetime, str, Answer]] = {}
        self._lock = threading.RLock()
        self._ledger = ledger
        for line in ledger.read() if ledger else []:
            self._remember(line)

    def _remember(self, line: Json) -> None:
        if "payment" in line:
            payment = Payment.of_line(line["payment"])
            self._payments[payment.id] = payment
        else:
            answer = Answer(status=line["status"], body=line["body"])
            self._keys[line["key"]] = datetime.fromisoformat(line["at"]), line["asked"], answer

    def _write(self, line: Json) -> None:
        if self._ledger:
            self._ledger.append([line])

    def _keep(self, payment: Payment) -> None:
        self._payments[payment.id] = payment
        self._write({"payment": payment.as_line()})

    def answer(self, request: Request) -> Answer:
        with self._lock:
            try:
                return self._once(request)
            except Refused as refused:
                return refused.answer

    def charges(self) -> list[Json]:
        with self._lock:
            return [
                {
                    "payment": payment.id,
                    "order": payment.wanted.get("metadata", {}).get("order", ""),
                    "amount": _minor(payment.wanted["amount"]),
                    "currency": payment.wanted["amount"]["currency"],
                    "at": payment.paid_at.isoformat(),
                }
                for payment in self._payments.values()
                if payment.paid_at
            ]

    def refunds(self) -> list[Json]:
        with self._lock:
            return [refund for payment in self._payments.values() for refund in payment.refunds]

    def move(self, payment_id: str, status: str) -> Json:
        """What its customer, or their bank, has made of a payment. Mollie then calls the hook."""
        with self._lock:
            payment = self._find(payment_id)
            if payment.status not in FINAL and status != payment.status:
                payment.status = status
                if status == "paid":
                    payment.paid_at = self._clock()
                self._keep(payment)
                if status in FINAL:
                    self._tell(payment)
            return self._shown(payment)

    def move_refund(self, refund_id: str, status: str) -> Json:
        with self._lock:
            for payment in self._payments.values():
                for refund in payment.refunds:
                    if refund["id"] == refund_id:
                        refund["status"] = status
                        self._keep(payment)
                        self._tell(payment)
                        return refund
        raise Refused(404, "No such refund.")

    def charge_back(self, payment_id: str) -> Json:
        with self._lock:
            payment = self._find(payment_id)
            chargeback = {
                "id": f"chb_{secrets.token_hex(5)}",
                "amount": payment.wanted["amount"],
                "createdAt": self._clock().isoformat(),
                "paymentId": payment.id,
                "reason": {"code": "MD06", "description": "Refund requested by debtor"},
            }
            payment.chargebacks.append(chargeback)
            self._keep(payment)
            self._tell(payment)
            return chargeback

    def show(self, payment_id: str) -> Json:
        with self._lock:
            return self._shown(self._find(payment_id))

    def _once(self, request: Request) -> Answer:
        key = request.idempotency_key
        if not key or request.method == "GET":
            return self._route(request)
        asked = json.dumps([request.method, request.path, request.body], sort_keys=True)
        earlier = self._keys.get(key)
        if earlier and self._clock() - earlier[0] < KEYS_KEPT:
            if earlier[1] != asked:
                raise Refused(422, "The key was used for another request.", "idempotency_key")
            return earlier[2]
        answer, now = self._route(request), self._clock()
        self._keys[key] = (now, asked, answer)
        line = {"key": key, "at": now.isoformat(), "asked": asked}
        self._write(line | {"status": answer.status, "body": answer.body})
        return answer

    def _route(self, request: Request) -> Answer:
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["payments"]:
                return Answer(status=201, body=self._create(request.body))
            case "GET", ["payments"]:
                everything = [self._shown(payment) for payment in self._payments.values()]
                return self._page("payments", everything, request)
            case "GET", ["payments", payment_id]:
                return Answer(status=200, body=self._shown(self._find(payment_id)))
            case "DELETE", ["payments", payment_id]:
                return Answer(status=200, body=self._cancel(self._find(payment_id)))
            case "POST", ["payments", payment_id, "refunds"]:
                return Answer(status=201, body=self._refund(payment_id, request.body))
            case "GET", ["payments", payment_id, "refunds"]:
                return self._page("refunds", self._find(payment_id).refunds, request)
            case "GET", ["payments", payment_id, "chargebacks"]:
                return self._page("chargebacks", self._find(payment_id).chargebacks, request)
            case "GET", ["refunds"]:
                return self._page("refunds", self.refunds(), request)
            case "GET", ["chargebacks"]:
                found = [each for p in self._payments.values() for each in p.chargebacks]
                return self._page("chargebacks", found, request)
        raise Refused(404, "No such resource.")

    def _create(self, wanted: Json) -> Json:
        for name in ("amount", "description", "redirectUrl"):
            if not wanted.get(name):
                raise Refused(422, f"The {name} is missing.", name)
        _checked_amount(wanted["amount"])
        if wanted.get("method") and wanted["method"] not in METHODS:
            raise Refused(422, "The payment method is invalid.", "method")
        _refuse_details(wanted)
        payment = Payment(
            id=f"tr_{secrets.token_hex(8)}", created_at=self._clock(), wanted=dict(wanted)
        )
        self._keep(payment)
        return self._shown(payment)

    def _cancel(self, payment: Payment) -> Json:
        self._expire(payment)
        if not payment.is_cancelable:
            raise Refused(422, "The payment cannot be canceled.")
        payment.status = "canceled"
        self._keep(payment)
        self._tell(payment)
        return self._shown(payment)

    def _refund(self, payment_id: str, wanted: Json) -> Json:
        payment = self._find(payment_id)
        amount = _checked_amount(wanted.get("amount"))
        sent = sum(
            Decimal(refund["amount"]["value"])
            for refund in payment.refunds
            if refund["status"] not in {"failed", "canceled"}
        )
        is_same_currency = wanted["amount"]["currency"] == payment.wanted["amount"]["currency"]
        left = Decimal(payment.wanted["amount"]["value"]) - sent
        if payment.status != "paid" or amount > left or not is_same_currency:
            raise Refused(422, "The amount is higher than the maximum.", "amount")
        if payment.chargebacks:
            raise Refused(422, "The payment was charged back.", "payment")
        refund = {
            "resource": "refund",
            "id": f"re_{secrets.token_hex(6)}",
            "amount": wanted["amount"],
            "status": "pending",
            "createdAt": self._clock().isoformat(),
            "paymentId": payment.id,
            "metadata": wanted.get("metadata"),
        }
        payment.refunds.append(refund)
        self._keep(payment)
        return refund

    def _find(self, payment_id: str) -> Payment:
        payment = self._payments.get(payment_id)
        if payment is None:
            raise Refused(404, f"No payment exists with token {payment_id}.")
        self._expire(payment)
        return payment

    def _expire(self, payment: Payment) -> None:
        if payment.status == "open" and self._clock() >= payment.created_at + OPEN_FOR:
            payment.status = "expired"
            self._keep(payment)
            self._tell(payment)

    def _tell(self, payment: Payment) -> None:
        if address := payment.wanted.get("webhookUrl"):
            self._hook(address, payment.id)

    def _shown(self, payment: Payment) -> Json:
        self._expire(payment)
        shown = {
            "resource": "payment",
            "id": payment.id,
            "mode": "test",
            "createdAt": payment.created_at.isoformat(),
            "status": payment.status,
            "isCancelable": payment.is_cancelable,
            "_links": {"self": {"href": f"{self.url}/v2/payments/{payment.id}"}},
            **payment.wanted,
        }
        if payment.status == "open":
            shown["expiresAt"] = (payment.created_at + OPEN_FOR).isoformat()
            shown["_links"]["checkout"] = {"href": f"{self.url}/checkout/{payment.id}"}
        return shown

    def _page(self, name: str, oldest_first: list[Json], request: Request) -> Answer:
        newest_first = oldest_first[::-1]
        limit = min(int(request.params.get("limit", 50)), MOST_ON_A_PAGE)
        start = request.params.get("from", "")
        ids = [each["id"] for each in newest_first]
        at = ids.index(start) if start in ids else 0
        page, rest = newest_first[at : at + limit], newest_first[at + limit :]
        links: Json = {}
        if rest:
            path = request.path.strip("/")
            links["next"] = {"href": f"{self.url}/v2/{path}?limit={limit}&from={rest[0]['id']}"}
        body = {"count": len(page), "_embedded": {name: page}, "_links": links}
        return Answer(status=200, body=body)


def _refuse_details(wanted: Json) -> None:
    """Mollie API reference, "Create payment", billingAddress, shippingAddress and lines."""
    for name in ("billingAddress", "shippingAddress"):
        address = wanted.get(name)
        if address is not None and not (address.get("streetAndNumber") and address.get("country")):
            raise Refused(422, f"The {name} is incomplete.", name)
    if "lines" in wanted:
        total = sum(_read_amount(line["totalAmount"]) for line in wanted["lines"])
        if total != Decimal(wanted["amount"]["value"]):
            raise Refused(422, "The amount must match the sum of the lines.", "amount")


def _checked_amount(amount: Any) -> Decimal:
    value = _read_amount(amount)
    if not 0 < value <= LARGEST:
        raise Refused(422, "The amount is invalid.", "amount")
    return value


def _read_amount(amount: Any) -> Decimal:
    """A text with all decimals of its currency; below zero for a discount."""
    try:
        value, currency = Decimal(amount["value"]), amount["currency"]
        places = len(str(get_currency(currency).sub_unit)) - 1
    except (InvalidOperation, KeyError, TypeError, CurrencyDoesNotExist):
        raise Refused(422, "The amount is invalid.", "amount") from None
    has_all_decimals = -int(value.as_tuple().exponent) == places
    if currency not in CURRENCIES or not has_all_decimals:
        raise Refused(422, "The amount is invalid.", "amount")
    return value


def _minor(amount: Json) -> int:
    return int(Decimal(amount["value"]) * get_currency(amount["currency"]).sub_unit)
