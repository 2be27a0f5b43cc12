import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.catalogue.money import show_money
from checkout.orders.attention.queries import open_reasons
from checkout.orders.models import Order
from checkout.orders.money.parts import Parts, parts_for_staff
from checkout.orders.numbers import parse_order_number
from checkout.runtime.terminal import aligned
from payments.admin.order_story import Story, story


class Command(BaseCommand):
    help = (
        "Print everything that is written down about one order, oldest first: repeated "
        "submissions, messages, calls to the gateway, webhooks, mails, refunds, and what staff "
        "did. Prints no name, address or e-mail."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("number", help="With or without its hyphen.")
        parser.add_argument("--json", action="store_true", help="Print the story as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        number = parse_order_number(options["number"])
        if number is None:
            raise CommandError(f"{options['number']} is no order number: its check digits differ.")
        order = Order.objects.filter(number=number).first()
        if order is None:
            raise CommandError(f"There is no order {number}.")
        whole = story(order, at_most=None)
        self.stdout.write((_as_json if options["json"] else _as_table)(order, whole))


def _as_json(order: Order, whole: Story) -> str:
    return json.dumps(
        {
            "order": order.number,
            "status": order.status,
            "since": order.status_changed_at.isoformat(timespec="seconds"),
            **_amounts(order),
            "currency": order.currency,
            "sent_again": order.resubmission_count,
            "needs_person": order.needs_person,
            "reasons": [
                {"reason": one.reason, "since": one.since and one.since.isoformat()}
                for one in open_reasons(order)
            ],
            "story": [entry.as_json() for entry in whole.entries],
        },
        indent=2,
    )


def _amounts(order: Order) -> dict[str, Any]:
    """The total and its parts by the names of the columns; goods that are unknown are the total."""
    parts = Parts.of_order(order)
    return {
        "total_minor": parts.total_minor,
        "goods_minor": parts.goods_minor,
        "discount_minor": parts.discount_minor,
        "delivery_minor": parts.delivery_minor,
        "tax_minor": parts.tax_minor,
        "prices_include_tax": parts.prices_include_tax,
        "taxes": order.taxes,
        "delivery_name": parts.delivery_name,
        "discount_code": parts.code,
    }


def _as_table(order: Order, whole: Story) -> str:
    person = "".join(f" A person must look: {one.reason}." for one in open_reasons(order))
    parts = parts_for_staff(order)
    made_of = f" ({' · '.join(parts)})" if parts else ""
    head = (
        f"Order {order.number}: {order.get_status_display().lower()} since "
        f"{order.status_changed_at:%d %b %Y %H:%M:%S}, {show_money(order.total)}{made_of}, "
        f"sent again {order.resubmission_count} times.{person}"
    )
    rows = [("when (UTC)", "where", "took", "what", "who")]
    rows += [
        (
            f"{entry.at:%d %b %H:%M:%S.%f}"[:-3],
            entry.source,
            "" if entry.took_ms is None else f"{entry.took_ms} ms",
            f"{entry.what} ({entry.detail})" if entry.detail else entry.what,
            entry.by,
        )
        for entry in whole.entries
    ]
    return "\n".join([head, "", *aligned(rows)])
