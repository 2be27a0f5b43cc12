"""What staff see of payments, and what they may do, by page."""

from payments.admin import lost_orders, orders, payments, withdrawals  # noqa: F401 - registers the pages
