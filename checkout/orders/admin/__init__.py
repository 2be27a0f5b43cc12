"""What staff see of orders, of the outbox and of this installation."""

from checkout.orders.admin import orders  # noqa: F401 - registers the pages
