"""The warehouse's pages: what is to be sent, on paper and on screen, and what was sent."""

from checkout.orders.admin.warehouse import parcels, to_send  # noqa: F401 - registers the pages
