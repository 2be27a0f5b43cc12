"""What the shop promised, held against the three records kept outside it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from config.local.crowd.comparison import (
    CHARGED,
    Evidence,
    Promise,
    acknowledged_orders_are_there,
    one_charge_each,
    one_order_each,
    paid_if_charged,
)
from config.local.crowd.records import Charge, deletions_in, replaced_in
from config.local.crowd.shoppers import AtOurShop
from config.local.designs.stand_in import Addresses
from tests.support.shopper import TYPED
from tests.tools.drill.codes import Codes
from tests.tools.drill.deaths import NEVER, WITHIN_SECONDS, Deaths
from tests.tools.drill.systems import audit_of

SETTLED = CHARGED | {"cancelled", "payment_failed"}
# For their customers, their banks, or the warehouse.
WAITING = {"action_required", "payment_failed", "promised", "authorised"}

# A charge of whose approval at the bank nobody told the shop is found by the sweep, after the time
# that the run gave it. It runs every 5 s, and a worker may have to come up.
AFTER_THE_SWEEP_SECONDS = 30.0

WRONG_TOTALS = """
    SELECT o.number, o.total_minor FROM orders_order o
    JOIN LATERAL (
        SELECT sum(quantity * unit_price_minor) AS goods, sum(discount_minor) AS discount
        FROM orders_orderline WHERE order_id = o.id
    ) l ON true
    WHERE l.goods <> o.goods_minor OR l.discount <> o.discount_minor
       OR o.total_minor <> o.goods_minor - o.discount_minor + o.delivery_minor
           + CASE WHEN o.prices_include_tax THEN 0 ELSE o.tax_minor END
"""

# Clocks of two processes on one machine, and the rounding of a journal.
CLOCK_SECONDS = 0.1


@dataclass(frozen=True)
class Measured:
    """The longest of what is promised a time for, in seconds; None where it never came."""

    lag: float | None = 0  # from a charge to the books: the part of it while things went wrong
    lag_afterwards: float | None = 0  # and the part of it after their end
    deaths: dict[str, float | None] = field(default_factory=dict)  # kind → from death to outcome


def came_to_rest(rests: dict[str, float | None], within_seconds: float, shoppers: int) -> Promise:
    """`rests`: after what → seconds until all was quiet; None: not within the time."""
    broken = [
        f"it did not come to rest after {what}" for what, took in rests.items() if took is None
    ]
    return Promise(f"All is quiet {within_seconds:.0f} s after the faults", shoppers, broken)


def known_at(evidence: Evidence) -> list[tuple[Charge, float]]:
    """When the books first said so of each charge."""
    paid_at = {order.number: order.paid_at for order in evidence.orders}
    return [
        (charge, NEVER if (at := paid_at.get(charge.order)) is None else at)
        for charge in evidence.charges
    ]


def known_in_time(evidence: Evidence, faults_end: float, *, sweep_after_seconds: float) -> Promise:
    within = sweep_after_seconds + AFTER_THE_SWEEP_SECONDS
    broken = []
    for charge, known in known_at(evidence):
        since = max(charge.at, faults_end)
        if known - since > within:
            what = "the charge" if charge.at > faults_end else "the faults' end"
            late = f"known {known - since:.0f} s after {what}"
            broken.append(f"{charge.order}: {'never known' if known == NEVER else late}")
    words = f"A charge is known here within {within:.0f} s of the faults' end"
    return Promise(words, len(evidence.charges), broken)


def deaths_made_good(evidence: Evidence, deaths: Deaths) -> list[Promise]:
    kept = []
    for kind, measured in deaths.seconds(evidence.orders).items():
        within = WITHIN_SECONDS[kind]
        broken = [
            f"{number}: {'never' if took == NEVER else f'{took:.1f} s'}"
            for number, took in measured
            if took > within
        ]
        words = f"An order in hand of {kind} is paid within {within:.0f} s"
        kept.append(Promise(words, len(measured), broken))
    return kept


def measured(evidence: Evidence, faults_end: float, deaths: Deaths | None) -> Measured:
    of_deaths = deaths.seconds(evidence.orders) if deaths else {}
    # What a death had in hand is told by itself: here it would hide how long all others took.
    died = {number for times in of_deaths.values() for number, _ in times}
    known = [(charge, at) for charge, at in known_at(evidence) if charge.order not in died]
    return Measured(
        lag=_longest(min(at, faults_end) - charge.at for charge, at in known),
        lag_afterwards=_longest(at - max(charge.at, faults_end) for charge, at in known),
        deaths={kind: _longest(took for _, took in times) for kind, times in of_deaths.items()},
    )


def _longest(seconds: Iterable[float]) -> float | None:
    longest = max([0.0, *seconds])
    return None if longest == NEVER else longest


def promises(
    evidence: Evidence,
    buyer: AtOurShop,
    at: Addresses,
    journal: Path,
    logs: Path,
    stock: dict[int, int],
) -> list[Promise]:
    return [
        one_order_each(evidence),
        acknowledged_orders_are_there(evidence),
        one_charge_each(evidence),
        each_parcel_charged_once(evidence.charges, at.database),
        paid_if_charged(evidence),
        _none_forgotten(evidence),
        _right_amounts(evidence, buyer),
        _totals_add_up(evidence, at),
        _stock_is_right(evidence, at, stock),
        _deleted_after_commit(at, journal, logs),
        _nothing_private_in_logs(logs),
        _only_answers_with_a_meaning(evidence, buyer),
        _own_audit(at),
    ]


def each_parcel_charged_once(charges: list[Charge], database: str) -> Promise:
    """By the gateway's own record: as many charges as parcels at most, and in sum what the books
    say. A parcel that was taken back as a mistake may have been charged."""
    query = """SELECT o.number, count(DISTINCT s.id),
                      (SELECT sum(p.charged_minor) FROM payments_payment p
                       WHERE p.order_id = o.id AND p.status = 'paid')
               FROM orders_order o JOIN orders_shipment s ON s.order_id = o.id GROUP BY o.id"""
    with psycopg.connect(database) as connection:
        sent = {number: (count, told) for number, count, told in connection.execute(query)}
    by_parcels = [charge for charge in charges if charge.parcels]
    broken = [
        f"{charge.order}: {charge.parcels} charges, {charge.amount_minor} in all, for {parcels} "
        f"parcels; the books say {told}"
        for charge in by_parcels
        for parcels, told in [sent.get(charge.order, (0, 0))]
        if charge.parcels > parcels or charge.amount_minor != told
    ]
    tried = sum(charge.parcels for charge in by_parcels)
    return Promise("What is charged when it is sent is charged once (parcels)", tried, broken)


def _none_forgotten(evidence: Evidence) -> Promise:
    broken = [
        f"{order.number} is still {order.status}"
        for order in evidence.orders
        if order.status not in SETTLED | WAITING
    ]
    return Promise("Every order is final or waits for its customer", len(evidence.orders), broken)


def _right_amounts(evidence: Evidence, buyer: AtOurShop) -> Promise:
    broken = [
        f"{order.number}: {order.amount_minor} {order.code}, {sorted(seen)} on the pages"
        for order in evidence.orders
        if (order.amount_minor, order.code) not in (seen := buyer.seen[order.purchase])
    ]
    return Promise("The total is that of a page that was sent", len(evidence.orders), broken)


def _totals_add_up(evidence: Evidence, at: Addresses) -> Promise:
    with psycopg.connect(at.database) as connection:
        rows = connection.execute(WRONG_TOTALS).fetchall()
    broken = [f"{number}: {total}" for number, total in rows]
    return Promise("Every total is the sum of its parts", len(evidence.orders), broken)


def codes_kept(codes: Codes, at: Addresses) -> list[Promise]:
    """By looks from outside, each at one moment, and by a last one."""
    with psycopg.connect(at.database) as connection:
        codes.look(connection)
    broken = [
        f"{code}: {live} orders of {limit}, counted {used}"
        for code, limit, used, live in codes.seen
        if not used == live <= limit
    ]
    most = ", ".join(f"{live} of {limit} {code}" for code, (live, limit) in codes.most().items())
    return [Promise(f"No code is had too often (at most {most})", len(codes.seen), broken)]


def _stock_is_right(evidence: Evidence, at: Addresses, before: dict[int, int]) -> Promise:
    query = """SELECT p.id, p.stock, coalesce(sum(l.quantity - l.put_back)
                      FILTER (WHERE o.status <> 'cancelled'), 0)
               FROM catalogue_product p
               LEFT JOIN orders_orderline l ON l.product_id = p.id
               LEFT JOIN orders_order o ON o.id = l.order_id GROUP BY p.id"""
    with psycopg.connect(at.database) as connection:
        rows = connection.execute(query).fetchall()
    broken = [
        f"product {id_}: {stock} left of {before[id_]}, {reserved} reserved"
        for id_, stock, reserved in rows
        if stock != before[id_] - reserved or stock < 0
    ]
    return Promise("Stock went down by what was ordered", len(rows), broken)


def _deleted_after_commit(at: Addresses, journal: Path, logs: Path) -> Promise:
    """A message about settling goes only when something has come of it: an outcome, or another
    message that asks again."""
    query = """SELECT o.number, extract(epoch FROM min(a.finished_at))
               FROM payments_paymentattempt a JOIN payments_payment p ON p.id = a.payment_id
               JOIN orders_order o ON o.id = p.order_id GROUP BY o.number"""
    with psycopg.connect(at.database) as connection:
        first = {number: float(moment or 1e12) for number, moment in connection.execute(query)}
    deletions, replaced = list(deletions_in(journal)), replaced_in(logs)
    broken = [
        f"{gone.order}: deleted at {gone.at}, first answer of the gateway at "
        f"{first.get(gone.order)}"
        for gone in deletions
        if gone.at + CLOCK_SECONDS < first.get(gone.order, 1e12)
        and (gone.order, gone.generation) not in replaced
    ]
    return Promise("No message was deleted before its outcome", len(deletions), broken)


def _nothing_private_in_logs(logs: Path) -> Promise:
    secrets = [
        "@example.com",
        "sk_test_",
        "test_of_the_drill",
        "whsec_",
        "csrfmiddlewaretoken",
        TYPED["full_name"],
    ]
    secrets += [TYPED["address"], TYPED["postcode"]]
    lines, broken = 0, []
    for log in sorted(logs.glob("*.log")):
        for line in log.open(errors="replace"):
            lines += 1
            if any(secret in line for secret in secrets):
                broken.append(f"{log.name}: {line[:200]}")
    return Promise("Nothing private in the logs (lines)", lines, broken)


def _only_answers_with_a_meaning(evidence: Evidence, buyer: AtOurShop) -> Promise:
    statuses = Counter(press.status for press in evidence.log.presses)
    broken = [f"HTTP {refusal}" for refusal in buyer.refused]
    words = "Each press was acknowledged, put off (503) or lost on the way"
    return Promise(words, statuses.total(), broken)


def _own_audit(at: Addresses) -> Promise:
    status, report = audit_of(at)
    checks = report.get("checks", [])
    broken = [
        f"{check['invariant']} {check['promise']}: {row}"
        for check in checks  # type: ignore[attr-defined] # JSON
        for row in check["rows"]
    ]
    if status and not broken:
        broken = [f"exit code {status}: {report.get('not_asked') or report.get('error')}"]
    return Promise("manage.py audit_orders finds nothing (checks)", len(checks), broken)  # type: ignore[arg-type] # JSON
