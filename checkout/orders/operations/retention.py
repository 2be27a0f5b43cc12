"""When old rows about orders are deleted, and why others stay; see `checkout.runtime.retention`."""

from datetime import timedelta

from django.conf import settings

from checkout.orders.models import Invoice, Withdrawal
from checkout.runtime.retention import End, register

WITH_ORDER = "Stays with its order: books, support and disputes ask for it years later."

register(
    End(table="orders.Order", why="A used token leads to its order for ever."),
    End(table="orders.OrderLine", why=WITH_ORDER),
    End(
        table="orders.OrderEvent",
        why=f"{WITH_ORDER} Repeated submissions are counted on the order, with ten events at most.",
    ),
    End(table="orders.CodeUse", why=WITH_ORDER),
    End(table="orders.AttentionReason", why=WITH_ORDER),
    End(table="orders.Shipment", why=WITH_ORDER),
    End(table="orders.ShipmentLine", why=WITH_ORDER),
    End(table="orders.GoodsReturn", why=WITH_ORDER),
    End(table="orders.GoodsReturnLine", why=WITH_ORDER),
    End(
        table="orders.Withdrawal",
        why=(
            "One that names no order and that staff have decided proves nothing after a year. All "
            "others stay with their order."
        ),
        after=timedelta(days=365),
        ended=lambda before: Withdrawal.objects.filter(order=None, decided_at__lt=before).order_by(
            "decided_at"
        ),
    ),
    End(table="orders.Mail", why=WITH_ORDER),
    End(table="orders.AccountMail", why="The mailer deletes them after a day."),
    End(table="orders.WebhookDelivery", why=WITH_ORDER),
    End(table="orders.WebhookEndpoint", why="One for each system that was ever told of orders."),
    End(
        table="orders.Invoice",
        why=(
            "The law asks for invoices for some years, INVOICE_YEARS. They end with the year of "
            "their number, so that what is left has no gap."
        ),
        after=timedelta(days=366 * settings.INVOICE_YEARS),
        ended=lambda before: Invoice.objects.filter(year__lt=before.year).order_by(
            "year", "series", "sequence"
        ),
    ),
    End(table="orders.InvoiceCounter", why="One row a series and year: it gives no number twice."),
    End(table="orders.InvoiceGap", why="One row a series for each backup that was restored."),
    End(table="orders.OutboxMessage", why="`prune` and `prune_outbox` delete them after 30 days."),
    End(table="orders.LimitCount", why="The publisher deletes them when their time is over."),
    End(table="orders.ProcessAlive", why="The publisher deletes them after a day."),
    End(table="orders.PaymentsPause", why="One row."),
    End(table="orders.Restore", why="One row for each backup that was restored."),
    End(table="orders.QueueSeen", why="One row."),
    End(table="orders.Installation", why="One row."),
)
