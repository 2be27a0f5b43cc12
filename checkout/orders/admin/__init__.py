"""What staff see of orders, of what other systems were told, and of this installation."""

from checkout.orders.admin import (  # noqa: F401 - registers the pages
    invoices,
    orders,
    warehouse,
    webhooks,
)
