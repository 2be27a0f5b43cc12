"""Shows what `after_restore` did or would do, as text or as JSON."""

import json
from contextlib import suppress
from dataclasses import asdict

from moneyed import CurrencyDoesNotExist

from checkout.catalogue.money import money, show_money
from checkout.orders.identity.installation import installation_id
from checkout.runtime.terminal import aligned
from payments.models import LostOrder
from payments.restoring.run import Report, Wish
from payments.restoring.take_over import Taken


def as_json(report: Report, wish: Wish) -> str:
    payload = {
        "installation": installation_id(),
        "since": wish.since.isoformat(),
        "dry_run": wish.dry_run,
        "changed": report.changed,
        "paused": report.paused,
        "put_out_of_use": report.put_out_of_use,
        "order_numbers_from": report.order_numbers_from,
        "invoice_gaps": report.invoice_gaps,
        "taken_over": [asdict(one) for one in report.taken],
        "lost": [_lost_as_json(lost) for lost in report.lost],
        "strangers": report.stranger_count,
        "not_asked": report.not_asked,
        "for_a_person": report.is_for_a_person,
    }
    return json.dumps(payload, indent=2)


def _lost_as_json(lost: LostOrder) -> dict[str, object]:
    return {
        "order": lost.number,
        "reference": lost.reference,
        "gateway": lost.gateway,
        "gateway_id": lost.gateway_payment_id,
        "state": lost.state,
        "amount_minor": lost.amount_minor,
        "currency": lost.currency,
        "opened_at": lost.opened_at and lost.opened_at.isoformat(),
        "agreed_by": lost.agreed_by if lost.agreed_at else "",
    }


def as_text(report: Report, wish: Wish) -> str:
    lines = [*_done(report, wish), *_taken_over(report.taken), *_lost(report.lost)]
    for what, why in report.not_asked.items():
        lines.append(f"The {what} could not be asked ({why}). Repeat this when it answers.")
    if report.stranger_count:
        lines.append(
            f"{report.stranger_count} payments on the account are strangers', and are left alone."
        )
    if not report.changed:
        lines.append("Nothing was left to do. Nothing was changed.")
    return "\n".join(lines)


def _done(report: Report, wish: Wish) -> list[str]:
    lines = []
    if wish.dry_run:
        lines.append("This only shows what would be done. Payments are not paused by it.")
    elif wish.noted_before:
        lines.append(f"This restore was noted before, {wish.noted_before}; no pause was begun.")
    if report.paused:
        lines.append("Payments are paused, and stay so until `manage.py resume_payments`.")
    for what, count in report.put_out_of_use.items():
        lines.append(f"Put out of use: {count} {what}.")
    if report.order_numbers_from is not None:
        lines.append(f"Orders are numbered from {report.order_numbers_from} on.")
    for gap in report.invoice_gaps:
        lines.append(f"Left out, because somebody may have seen them: {gap}.")
    return lines


def _taken_over(taken: list[Taken]) -> list[str]:
    if not taken:
        return []
    rows = [("taken over", "order", "at the gateway", "amount", "for a person")]
    for one in taken:
        amount = _shown(one.amount_minor, one.currency)
        rows.append((one.what, one.order, one.gateway_id, amount, one.problem))
    return [*aligned(rows), f"{len(taken)} for orders that are here."]


def _lost(lost: list[LostOrder]) -> list[str]:
    if not lost:
        return []
    rows = [("lost order", "reference", "at the gateway", "state", "amount", "opened", "agreed by")]
    for one in lost:
        opened = f"{one.opened_at:%Y-%m-%d %H:%M:%S}" if one.opened_at else ""
        amount = "" if one.amount_minor is None else _shown(one.amount_minor, one.currency)
        agreed = one.agreed_by if one.agreed_at else ""
        names = (one.number, one.reference, one.gateway_payment_id, one.state)
        rows.append((*names, amount, opened, agreed))
    return [
        *aligned(rows),
        f"{len(lost)} payments of orders that this database has lost. For each, a person agrees "
        "in the admin, under “Lost orders”, that the money goes back, or says how it was seen to.",
    ]


def _shown(amount_minor: int, currency: str) -> str:
    with suppress(CurrencyDoesNotExist):
        return show_money(money(amount_minor, currency))
    return f"{amount_minor} {currency}"
