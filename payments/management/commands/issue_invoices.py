from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction

from checkout.orders.invoices.issue import issue_missing_invoice
from checkout.orders.models import Order
from checkout.runtime.clock import database_now
from checkout.runtime.terminal import add_json, as_json, progress_on
from payments.books.invoices import NOT_INVOICED


class Command(BaseCommand):
    help = (
        "Issue the invoices that are missing, and credit what was sent back of their orders. An "
        "order has none where a worker of a release that knew no invoices recorded its payment, as "
        "during an upgrade; `audit_orders` names it. Orders that were paid before the first "
        "invoice have none on purpose. May be repeated: no order gets a second invoice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)
        parser.add_argument("--dry-run", action="store_true", help="Only say which are missing.")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.SELLER is None:
            raise CommandError("SELLER_NAME is not set, so this shop issues no invoices.")
        with connection.cursor() as cursor:
            cursor.execute(f"{NOT_INVOICED} ORDER BY o.id")
            missing = [number for number, _ in cursor.fetchall()]
        if not options["dry_run"]:
            progress = progress_on(self.stderr, "invoices issued")
            for done, number in enumerate(missing, start=1):
                with transaction.atomic():
                    order = Order.objects.select_for_update().get(number=number)
                    issue_missing_invoice(order, now=database_now())
                progress(done)
        if options["json"]:
            self.stdout.write(as_json({"missing": missing, "issued": not options["dry_run"]}))
        elif missing:
            what = "are missing" if options["dry_run"] else "were issued"
            self.stdout.write(f"{len(missing)} invoices {what}: {', '.join(missing)}")
        else:
            self.stdout.write("No invoice is missing.")
