"""Shows the differences between the books, as a table or as JSON."""

import json
from dataclasses import asdict
from datetime import datetime

from checkout.orders.identity.installation import installation_id
from checkout.runtime.terminal import aligned, printable
from payments.books.compare import LOST_ORDER, side_there
from payments.books.repair import Report
from payments.gateways.base import GatewayPayment


def as_json(report: Report, *, since: datetime) -> str:
    remaining = {difference.key for difference in report.remaining}
    rows = [
        asdict(difference)
        | {"repair": report.repairs.get(difference.key, ""), "remains": difference.key in remaining}
        for difference in report.found
    ]
    payload: dict[str, object] = {
        "installation": installation_id(),
        "since": since.isoformat(),
        "differences": rows,
        "remaining": len(remaining),
        "strangers": report.stranger_count,
    }
    if report.strangers is not None:
        payload["strangers_listed"] = [
            asdict(payment.order) | {"gateway_id": payment.id, "there": asdict(side_there(payment))}
            for payment in report.strangers
        ]
    return json.dumps(payload, indent=2)


def as_table(report: Report, *, since: datetime) -> str:
    lines = [*table(report), f"{len(report.found)} differences since {since:%Y-%m-%d %H:%M}."]
    if any(difference.kind == LOST_ORDER for difference in report.remaining):
        lines.append(
            "Lost orders are listed in the admin, under “Lost orders”, until a person has seen to "
            "them; see docs/runbook.md, “Lost orders and strangers”."
        )
    if report.strangers:
        lines += _strangers_table(report.strangers)
    if report.stranger_count:
        lines.append(
            f"{report.stranger_count} payments on the account are strangers': they do not name "
            "this installation, and are left alone."
        )
    return "\n".join(lines)


def table(report: Report) -> list[str]:
    rows = [("difference", "order", "at the gateway", "here", "there", "repair")]
    remaining = {difference.key for difference in report.remaining}
    for difference in report.found:
        here, there = str(difference.here or "unknown"), str(difference.there or "unknown")
        done = report.repairs.get(difference.key, "")
        if done and difference.key in remaining:
            done += "; remains"
        order = f"{difference.order} {difference.reference}".strip()
        rows.append((difference.kind, order, difference.gateway_id, here, there, done))
    return aligned(rows) if report.found else []


def _strangers_table(strangers: list[GatewayPayment]) -> list[str]:
    rows = [("at the gateway", "there", "order", "reference", "installation")]
    for payment in strangers:
        names = (payment.order.number, payment.order.reference, payment.order.installation)
        number, reference, installation = (printable(name) or "-" for name in names)
        rows.append((payment.id, str(side_there(payment)), number, reference, installation))
    return aligned(rows)
