"""What staff see of orders, of what other systems were told, and of this installation."""

from checkout.orders.admin import invoices, orders, webhooks  # noqa: F401 - registers the pages
