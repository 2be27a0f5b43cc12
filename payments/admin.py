"""What staff see of payments, and what they may do. In `payments/desk`, by page."""

from payments.desk import lost_orders, orders, payments, webhooks  # noqa: F401 - registers the pages
