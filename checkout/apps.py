from django.apps import AppConfig


class CheckoutConfig(AppConfig):
    name = "checkout"
    verbose_name = "Checkout"

    def ready(self) -> None:
        from checkout import (
            personal_data,  # noqa: F401 - registers what is stored of a person
            retention,  # noqa: F401 - registers what becomes of old rows
        )
