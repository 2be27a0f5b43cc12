from django.apps import AppConfig


class CheckoutConfig(AppConfig):
    name = "checkout"
    verbose_name = "Checkout"

    def ready(self) -> None:
        from checkout import (
            out_of_use,  # noqa: F401 - registers what could act twice after a restore
            personal_data,  # noqa: F401 - registers what is stored of a person
            retention,  # noqa: F401 - registers what becomes of old rows
        )
