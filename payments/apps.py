from importlib import import_module
from importlib.util import find_spec

from django.apps import AppConfig
from django.conf import settings


class PaymentsConfig(AppConfig):
    name = "payments"
    verbose_name = "Payments"

    def ready(self) -> None:
        from checkout.orders.money.facts import read_with
        from payments import (
            checks,  # noqa: F401 - registers the system checks
            personal_data,  # noqa: F401 - registers what is stored of a person
            retention,  # noqa: F401 - registers what becomes of old rows
        )
        from payments.books.money import read_moved
        from payments.restoring import out_of_use  # noqa: F401 - registers what could act twice

        read_with(read_moved)
        for package in settings.PAYMENT_GATEWAYS.values():
            if find_spec(f"{package}.checks"):
                import_module(f"{package}.checks")
