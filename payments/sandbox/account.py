"""One account at the sandbox: its intents, its idempotency keys, and the order things happen in.

Each change is first a line in the ledger. A restart applies the same lines again.
"""

import hashlib
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from payments.sandbox import intents
from payments.sandbox.clock import Clock
from payments.sandbox.disputes import (
    Dispute,
    accepted,
    answered,
    open_dispute,
    refuse_refund_of_disputed,
)
from payments.sandbox.idempotency import IdempotencyKeys, StoredAnswer
from payments.sandbox.intents import Intent, Step
from payments.sandbox.ledger import Ledger
from payments.sandbox.methods import PAYMENT_METHODS, Fault
from payments.sandbox.refunds import Refund, make_refund, moved_on
from payments.sandbox.replies import (
    TOO_MANY,
    UNKNOWN_ERROR,
    Answer,
    Json,
    RefusalError,
    refusal,
    refuse_unknown_parameters,
    unknown_object,
    whole_number,
)

# How long a request waits for another one on the same intent, before it is told to come again.
LOCK_SECONDS = 1.0

# The number of confirms of an intent that pm_sandbox_unavailable turns away.
TURNED_AWAY = 2

# The names of the parameters that want a part of the answer whole.
EXPANDED = ("expand[0]", "expand[1]")

MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 10

Kept = TypeVar("Kept", Intent, Refund, Dispute)


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    path: str
    params: dict[str, str]
    idempotency_key: str = ""

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(
            repr((self.method, self.path, sorted(self.params.items()))).encode()
        ).hexdigest()


class Account:
    """`pause` sleeps for a slow payment; it raises if the server is stopped meanwhile."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        pause: Callable[[float], None],
        slow_seconds: float,
        notify: Callable[[str, Json], None] = lambda kind, about: None,
    ) -> None:
        self.url = ""  # known when the server listens
        self._notify = notify
        self._ledger = ledger
        self._clock = clock
        self._pause = pause
        self._slow_seconds = slow_seconds
        self._intents: dict[str, Intent] = {}
        self._turned_away: Counter[str] = Counter()
        self._charges: list[Json] = []
        self._tokens: set[str] = set()  # those that were used
        self._refunds: dict[str, Refund] = {}
        self._disputes: dict[str, Dispute] = {}
        self._keys = IdempotencyKeys()
        self._writing = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        for line in ledger.read():
            self._apply(line)

    def answer(self, request: Request) -> Answer:
        try:
            return self._route(request)
        except RefusalError as refused:
            return refused.answer

    def charges(self) -> list[Json]:
        return list(self._charges)

    def refunds(self) -> list[Json]:
        return [refund.as_json() for refund in self._refunds.values()]

    def disputes(self) -> list[Json]:
        return [dispute.as_json() for dispute in self._disputes.values()]

    def _route(self, request: Request) -> Answer:
        match request.method, request.path.strip("/").split("/"):
            case _, ["v1", "payment_intents", *which]:
                return self._route_intent(request, which)
            case "POST", ["v1", "refunds"]:
                return self._once(request, lambda: self._refund(request))
            case "GET", ["v1", "refunds"]:
                return self._list(self._refunds, request.params, "refund")
            case "GET", ["v1", "refunds", refund_id]:
                return Answer(status=200, body=self._find_refund(refund_id).as_json())
            case _, ["v1", "disputes", *which]:
                return self._route_dispute(request, which)
        raise _unknown_url(request)

    def _route_intent(self, request: Request, which: Sequence[str]) -> Answer:
        match request.method, which:
            case "GET", []:
                self._lapse_all()
                return _page(list(self._intents.values()), request.params, "payment_intent")
            case "GET", [intent_id]:
                self._lapse(self._find(intent_id))
                return Answer(status=200, body=_shown(self._find(intent_id), request.params))
            case "POST", []:
                return self._once(request, lambda: self._open(request))
            case "POST", [intent_id, "confirm"]:
                return self._once(request, lambda: self._confirm(intent_id, request))
            case "POST", [intent_id, "capture"]:
                return self._once(request, lambda: self._capture(intent_id, request))
            case "POST", [intent_id, "cancel"]:
                return self._once(request, lambda: self._cancel(intent_id, request))
        raise _unknown_url(request)

    def _route_dispute(self, request: Request, which: Sequence[str]) -> Answer:
        match request.method, which:
            case "GET", []:
                return self._list(self._disputes, request.params, "dispute")
            case "GET", [dispute_id]:
                return Answer(status=200, body=self._find_dispute(dispute_id).as_json())
            case "POST", [dispute_id]:
                return self._decide(dispute_id, lambda found: answered(found, request.params))
            case "POST", [dispute_id, "close"]:
                return self._decide(dispute_id, accepted)
        raise _unknown_url(request)

    def _once(self, request: Request, execute: Callable[[], Answer]) -> Answer:
        if not request.idempotency_key:
            return execute()
        with self._keys.claim(
            request.idempotency_key, fingerprint=request.fingerprint, now=self._clock()
        ) as earlier:
            return earlier.replayed() if earlier else execute()

    def _open(self, request: Request) -> Answer:
        intent_id = _new_id("pi")
        step = intents.open_intent(
            request.params,
            intent_id=intent_id,
            client_secret=_new_id(f"{intent_id}_secret"),
            now=self._clock(),
        )
        return self._commit(step, request)

    def _confirm(self, intent_id: str, request: Request) -> Answer:
        named = {"return_url", "confirmation_token", "use_stripe_sdk", *EXPANDED}
        refuse_unknown_parameters(request.params, named)
        with self._locked(intent_id):
            intent = self._find(intent_id)
            token = request.params.get("confirmation_token")
            if token is not None:
                self._refuse_used(token)
                intent = intents.with_token(intent, token)
            fault = _fault_of(intent)
            if fault is Fault.UNAVAILABLE_AT_FIRST:
                self._turn_away(intent)
            if fault is Fault.SLOW:
                self._pause(self._slow_seconds)
            step = intents.confirm(
                intent,
                charge_id=_new_id("ch"),
                bank_url=f"{self.url}/sandbox/bank",
                return_url=request.params.get("return_url", ""),
                # A token wants the script. Stripe API reference, The ConfirmationToken object.
                by_script=token is not None and request.params.get("use_stripe_sdk") != "false",
                now=self._clock(),
            )
            if step.answer.status == 200:
                shown = _shown(step.intent, request.params)
                step = replace(step, answer=replace(step.answer, body=shown))
            answer = self._commit(_with_fault(step, fault), request)
            method = PAYMENT_METHODS.get(intent.payment_method or "")
            if step.kind == "charged" and method and (kind := method.dispute):
                self._dispute(step.intent, is_inquiry=kind == "inquiry")
            return answer

    def _refuse_used(self, token: str) -> None:
        """A token is used once. Stripe API reference, The ConfirmationToken object; the code of the
        refusal is our own, for the reference has none."""
        if token in self._tokens:
            message = "This ConfirmationToken was used to confirm a PaymentIntent already."
            raise refusal("resource_already_used", message, param="confirmation_token")

    def end_debit(self, intent_id: str, *, money_came: bool) -> Json:
        """The bank says what became of a debit, days later: for demo and tests."""
        with self._locked(intent_id):
            step = intents.end_debit(self._find(intent_id), money_came=money_came)
            if step.kind:
                self._write([_line(step.kind, step.intent, self._clock())])
            return step.answer.body

    def authenticate(self, intent_id: str, *, approved: bool | None) -> Intent:
        """Take the customer's answer at the bank's page, which counts once; None only looks."""
        with self._locked(intent_id):
            intent = self._find(intent_id)
            if approved is None or intent.status != "requires_action":
                return intent
            step = intents.authenticate(
                intent, approved=approved, charge_id=_new_id("ch"), now=self._clock()
            )
            self._write([_line(step.kind, step.intent, self._clock())])
            return step.intent

    def _capture(self, intent_id: str, request: Request) -> Answer:
        params = request.params
        refuse_unknown_parameters(params, {"amount_to_capture", "final_capture", *EXPANDED})
        with self._locked(intent_id):
            self._lapse(self._find(intent_id))
            intent = self._find(intent_id)
            step = intents.capture(
                intent,
                amount=whole_number(
                    params.get("amount_to_capture", str(intent.amount_capturable)),
                    "amount_to_capture",
                    least=1,
                ),
                is_final=params.get("final_capture", "true") != "false",
            )
            if step.answer.status == 200:
                shown = _shown(step.intent, params)
                step = replace(step, answer=replace(step.answer, body=shown))
            return self._commit(step, request)

    def _lapse_all(self) -> None:
        for intent in list(self._intents.values()):
            self._lapse(intent)

    def _lapse(self, intent: Intent) -> None:
        """Have the bank keep no longer what was set aside for too long. Time passes unseen, so this
        is looked for whenever somebody asks."""
        if step := intents.lapse(intent, now=self._clock()):
            self._write([_line(step.kind, step.intent, self._clock())])

    def _cancel(self, intent_id: str, request: Request) -> Answer:
        refuse_unknown_parameters(request.params)
        with self._locked(intent_id):
            step = intents.cancel(self._find(intent_id), now=self._clock())
            return self._commit(step, request)

    def _refund(self, request: Request) -> Answer:
        names = [name for name in request.params if not name.startswith("metadata[")]
        refuse_unknown_parameters(names, {"payment_intent", "amount", "reason"})
        intent_id = request.params.get("payment_intent", "")
        with self._locked(intent_id):
            intent = self._find(intent_id)
            refuse_refund_of_disputed(
                [one for one in self._disputes.values() if one.payment_intent == intent_id]
            )
            refund = make_refund(
                request.params,
                intent,
                [refund for refund in self._refunds.values() if refund.payment_intent == intent_id],
                refund_id=_new_id("re"),
                now=self._clock(),
            )
            answer = Answer(status=200, body=refund.as_json())
            line = _line("refunded", intent, self._clock()) | {
                "amount": refund.amount,
                "refund": refund.as_json(),
            }
            self._write([line, *self._stored(answer, intent, request)])
            return answer

    def move_refund(self, refund_id: str, status: str) -> Json:
        """Say what becomes of a refund later, at the customer's bank: for demo and tests."""
        with self._locked(self._find_refund(refund_id).payment_intent):
            refund = moved_on(self._find_refund(refund_id), status)
            kind = "refund_failed" if status == "failed" else "refund_updated"
            intent = self._find(refund.payment_intent)
            line = _line(kind, intent, self._clock())
            self._write([line | {"amount": refund.amount, "refund": refund.as_json()}])
            return refund.as_json()

    def dispute(self, intent_id: str, **how: Any) -> Json:
        """The customer's bank disputes a charge: for demo and tests."""
        with self._locked(intent_id):
            return self._dispute(self._find(intent_id), **how).as_json()

    def _dispute(self, intent: Intent, **how: Any) -> Dispute:
        dispute = open_dispute(intent, dispute_id=_new_id("dp"), now=self._clock(), **how)
        self._write_dispute("dispute_opened", dispute)
        return dispute

    def _decide(self, dispute_id: str, act: Callable[[Dispute], Dispute]) -> Answer:
        with self._locked(self._find_dispute(dispute_id).payment_intent):
            dispute = self._find_dispute(dispute_id)
            if dispute.status in {"won", "lost", "warning_closed"}:
                raise refusal("dispute_closed", "This dispute is already closed")
            dispute = act(dispute)
            is_over = dispute.status in {"won", "lost", "warning_closed"}
            self._write_dispute("dispute_closed" if is_over else "dispute_updated", dispute)
            return Answer(status=200, body=dispute.as_json())

    def _write_dispute(self, kind: str, dispute: Dispute) -> None:
        line = _line(kind, self._find(dispute.payment_intent), self._clock())
        self._write([line | {"amount": dispute.amount, "dispute": dispute.as_json()}])

    def _list(
        self, kept: Mapping[str, Refund] | Mapping[str, Dispute], params: dict[str, str], kind: str
    ) -> Answer:
        wanted = params.get("payment_intent")
        if wanted is not None:
            _found(self._intents, wanted, "payment_intent", param="payment_intent")
        # A copy, because another request may add one meanwhile.
        there: list[Refund | Dispute] = [*kept.values()]
        return _page([k for k in there if wanted in {None, k.payment_intent}], params, kind)

    def _find_dispute(self, dispute_id: str) -> Dispute:
        return _found(self._disputes, dispute_id, "dispute", param="dispute")

    def _find_refund(self, refund_id: str) -> Refund:
        return _found(self._refunds, refund_id, "refund", param="id")

    def _find(self, intent_id: str) -> Intent:
        return _found(self._intents, intent_id, "payment_intent", param="intent")

    @contextmanager
    def _locked(self, intent_id: str) -> Iterator[None]:
        """Let one request at a time have an intent. Stripe docs, "Rate limits", Object locks."""
        self._find(intent_id)
        lock = self._locks.setdefault(intent_id, threading.Lock())
        if not lock.acquire(timeout=LOCK_SECONDS):
            message = "Another request is working on this object. Try again later."
            raise refusal("lock_timeout", message, status=429)
        try:
            yield
        finally:
            lock.release()

    def _turn_away(self, intent: Intent) -> None:
        if self._turned_away[intent.id] < TURNED_AWAY:
            self._write([_line("turned_away", intent, self._clock())])
            raise RefusalError(TOO_MANY)

    def _commit(self, step: Step, request: Request) -> Answer:
        now = self._clock()
        lines = [_line(step.kind, step.intent, now)] if step.kind else []
        self._write([*lines, *self._stored(step.answer, step.intent, request)])
        return step.answer

    def _stored(self, answer: Answer, intent: Intent, request: Request) -> list[Json]:
        """The ledger's line that keeps an answer under its key, if it has one."""
        if not request.idempotency_key:
            return []
        stored = {
            "key": request.idempotency_key,
            "fingerprint": request.fingerprint,
            "status": answer.status,
            "body": answer.body,
        }
        return [_line("answer_stored", intent, self._clock()) | stored]

    def _write(self, lines: list[Json]) -> None:
        with self._writing:
            self._ledger.append(lines)
            for line in lines:
                self._apply(line)
        for line in lines:
            if line["kind"] != "answer_stored":
                self._notify(line["kind"], _told_by(line))

    def _apply(self, line: Json) -> None:
        match line["kind"]:
            case "answer_stored":
                stored = StoredAnswer(
                    fingerprint=line["fingerprint"],
                    status=line["status"],
                    body=line["body"],
                    at=datetime.fromisoformat(line["at"]),
                )
                self._keys.store(line["key"], stored)
                return
            case "turned_away":
                self._turned_away[line["payment_intent"]] += 1
            case "charged" | "captured":
                told = ("payment_intent", "amount", "currency", "order", "at")
                charge = {name: line[name] for name in told}
                if line["kind"] == "captured":
                    before = self._intents[line["payment_intent"]].amount_received
                    charge["amount"] = line["intent"]["amount_received"] - before
                    charge["captured"] = True
                self._charges.append(charge)
            case "refunded" | "refund_failed" | "refund_updated":
                refund = Refund(**line["refund"])
                self._refunds[refund.id] = refund
            case "dispute_opened" | "dispute_updated" | "dispute_closed":
                dispute = Dispute(**line["dispute"])
                self._disputes[dispute.id] = dispute
        intent = Intent(**line["intent"])
        self._intents[intent.id] = intent
        if intent.confirmation_token:
            self._tokens.add(intent.confirmation_token)


def _unknown_url(request: Request) -> RefusalError:
    message = f"Unrecognized request URL ({request.method}: {request.path})."
    return refusal("url_unknown", message, status=404)


def _found(kept: Mapping[str, Kept], wanted: str, kind: str, *, param: str) -> Kept:
    if wanted not in kept:
        raise unknown_object(kind, wanted, status=404, param=param)
    return kept[wanted]


def _page(
    objects: Sequence[Intent | Refund | Dispute], params: dict[str, str], kind: str
) -> Answer:
    """Lists the newest first, a page at a time. Stripe API reference, "Pagination"."""
    since = whole_number(params.get("created[gte]", "0"), "created[gte]")
    limit = whole_number(params.get("limit", str(DEFAULT_PAGE_SIZE)), "limit")
    if not 1 <= limit <= MAX_PAGE_SIZE:
        message = f"limit must be between 1 and {MAX_PAGE_SIZE}."
        raise refusal("parameter_invalid_integer", message, param="limit")
    # Within a second the later one comes first: the objects are in the order of their making.
    newest_first = list(objects)[::-1]
    newest_first.sort(key=lambda one: one.created, reverse=True)
    if after := params.get("starting_after"):
        ids = [one.id for one in newest_first]
        if after not in ids:
            raise unknown_object(kind, after, status=400, param="starting_after")
        newest_first = newest_first[ids.index(after) + 1 :]
    found = [one for one in newest_first if one.created >= since]
    body = {
        "object": "list",
        "url": f"/v1/{kind}s",
        "has_more": len(found) > limit,
        "data": [_shown(one, params) for one in found[:limit]],
    }
    return Answer(status=200, body=body)


def _shown(one: Intent | Refund | Dispute, params: Mapping[str, str]) -> Json:
    """Whole where the request wants it whole. Stripe API reference, "Expanding responses"."""
    wanted = {params.get(name, "").removeprefix("data.") for name in EXPANDED}
    return one.expanded(wanted) if isinstance(one, Intent) else one.as_json()


def _line(kind: str, intent: Intent, now: datetime) -> Json:
    line: Json = {
        "at": now.isoformat(),
        "kind": kind,
        "payment_intent": intent.id,
        "amount": intent.amount,
        "currency": intent.currency,
        "order": intent.metadata.get("order", ""),
    }
    return line if kind == "answer_stored" else line | {"intent": asdict(intent)}


def _told_by(line: Json) -> Json:
    """What an event is about, as Stripe would show it."""
    if about := line.get("dispute"):
        return dict(about)
    if line["kind"] in {"refund_failed", "refund_updated"}:
        return dict(line["refund"])
    intent = Intent(**line["intent"])
    if line["kind"] != "refunded":
        return intent.as_json()
    return {
        "id": intent.latest_charge,
        "object": "charge",
        "payment_intent": intent.id,
        "metadata": intent.metadata,
    }


def _fault_of(intent: Intent) -> Fault:
    if intent.status != "requires_confirmation" or intent.payment_method is None:
        return Fault.NONE
    return PAYMENT_METHODS[intent.payment_method].fault


def _with_fault(step: Step, fault: Fault) -> Step:
    match fault:
        case Fault.CHARGED_WITHOUT_ANSWER:
            return replace(step, answer=replace(step.answer, withheld=True))
        case Fault.CHARGED_WITH_ERROR:
            return replace(step, answer=UNKNOWN_ERROR)
    return step


def _new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(12)}"
