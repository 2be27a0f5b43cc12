from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "checkout.orders"
    label = "orders"
    verbose_name = "Orders"

    def ready(self) -> None:
        from checkout.orders import (
            checks,  # noqa: F401 - registers the system checks
            spans,
        )
        from checkout.orders.operations import ends  # noqa: F401 - registers what becomes of rows

        spans.start()
