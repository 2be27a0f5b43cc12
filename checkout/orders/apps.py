from django.apps import AppConfig


class OrdersConfig(AppConfig):
    name = "checkout.orders"
    label = "orders"
    verbose_name = "Orders"

    def ready(self) -> None:
        from checkout.orders import checks  # noqa: F401 - registers the system checks
        from checkout.orders.operations import retention  # noqa: F401 - registers what becomes of rows
        from checkout.orders.privacy import order_data  # noqa: F401 - registers what is stored of a person
        from checkout.orders.restoring import out_of_use  # noqa: F401 - registers what could be lost
        from checkout.runtime import spans

        spans.start()
