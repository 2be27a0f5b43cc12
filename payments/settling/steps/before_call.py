"""The committed steps of a settlement, each with the call that ended before it and the one that
begins after it, in one statement.

A settlement commits three times: before it opens the payment, before money can move, and when the
outcome is known. What the gateway was asked is written down before each call and after it. Here
that is written by the same statement as the step between two calls, so that a settlement commits no
more often than it must. A process that dies leaves a call without an end, as it always did.

No statement here decides anything on its own: each has the guard that the longer way has, and where
the guard does not hold, the caller goes the longer way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from checkout.runtime.database import insertion, values_of
from payments.models import Payment, PaymentAttempt

# What Django's own INSERT of a payment leaves to the database.
GIVEN = frozenset({"id", "lease_until"})

BEGIN_CALL = """
    INSERT INTO payments_paymentattempt
        (payment_id, step, idempotency_key, started_at, outcome, code)
    SELECT id, %(step)s::varchar, %(key)s::varchar, %(now)s::timestamptz, '', ''
    FROM stored WHERE %(begins)s
    RETURNING id AS attempt_id, payment_id
"""

END_CALL = """
    UPDATE payments_paymentattempt
    SET finished_at = %(ended_at)s::timestamptz, outcome = %(outcome)s::varchar,
        code = %(code)s::varchar
    WHERE id = %(ended)s::bigint
"""

# Two workers may begin one round at once: then one row remains, and one call begins.
BEGIN_ROUND = """
WITH stored AS (
    INSERT INTO payments_payment ({columns}, lease_until)
    VALUES ({values}, statement_timestamp() + %(lasts)s::interval)
    ON CONFLICT (order_id, round) DO NOTHING
    RETURNING id
),
begun AS ({begin_call})
SELECT stored.id, attempt_id FROM stored LEFT JOIN begun ON payment_id = stored.id
"""

# Only the first id is stored; and only whoever stored it may confirm at once.
STORE_ID = """
WITH ended AS ({end_call}),
stored AS (
    UPDATE payments_payment SET gateway_payment_id = %(gateway_id)s::varchar
    WHERE id = %(payment)s AND gateway_payment_id = ''
    RETURNING id
),
begun AS ({begin_call})
SELECT stored.id, attempt_id FROM stored LEFT JOIN begun ON payment_id = stored.id
"""


@dataclass(frozen=True)
class Begins:
    """A call that begins."""

    step: PaymentAttempt.Step
    key: str
    at: datetime


@dataclass(frozen=True)
class Ended:
    """A call that was answered, by the id of its row."""

    attempt: int
    at: datetime
    outcome: str
    code: str


def begin_round(payment: Payment, call: Begins | None) -> tuple[bool, int | None]:
    """Store the payment, whose lease begins, and the call that opens it. Answers whether it was
    stored, which it is not where the round has begun, and the id of the call's row."""
    columns, values = insertion(Payment, GIVEN)
    params = {
        **values_of(payment, GIVEN),
        **_values(call),
        "lasts": timedelta(seconds=settings.PAYMENT_LEASE_SECONDS),
    }
    statement = BEGIN_ROUND.format(columns=columns, values=values, begin_call=BEGIN_CALL)
    stored, attempt = _stored(statement, params)
    if stored is not None:
        payment.pk = stored
        payment._state.adding = False
    return stored is not None, attempt


def store_id(
    payment: Payment, gateway_id: str, ended: Ended | None, call: Begins | None
) -> tuple[bool, int | None]:
    """End the call that opened the payment, and store its id if no other is stored. If it was, the
    next call begins. Answers whether the id was stored, and the id of the next call's row."""
    params = {
        **_values(call),
        **ended_values(ended),
        "gateway_id": gateway_id,
        "payment": payment.pk,
    }
    statement = STORE_ID.format(end_call=END_CALL, begin_call=BEGIN_CALL)
    stored, attempt = _stored(statement, params)
    return stored is not None, attempt


def end_call(ended: Ended) -> None:
    PaymentAttempt.objects.filter(pk=ended.attempt).update(
        finished_at=ended.at, outcome=ended.outcome, code=ended.code
    )


def ended_values(ended: Ended | None) -> dict[str, Any]:
    """The parameters of `END_CALL`, which ends nothing where there is nothing to end."""
    if ended is None:
        return {"ended": None, "ended_at": None, "outcome": "", "code": ""}
    values = {"ended_at": ended.at, "outcome": ended.outcome, "code": ended.code}
    return {"ended": ended.attempt, **values}


def _values(call: Begins | None) -> dict[str, Any]:
    if call is None:
        return {"begins": False, "step": "", "key": "", "now": None}
    return {"begins": True, "step": call.step.value, "key": call.key, "now": call.at}


def _stored(statement: str, params: Mapping[str, Any]) -> tuple[int | None, int | None]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchone() or (None, None)
