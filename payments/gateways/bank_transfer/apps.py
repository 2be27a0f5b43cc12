from django.apps import AppConfig


class BankTransferConfig(AppConfig):
    name = "payments.gateways.bank_transfer"
    label = "bank_transfer"
    verbose_name = "Bank transfers"

    def ready(self) -> None:
        from payments.gateways.bank_transfer import (
            personal_data,  # noqa: F401 - registers what is stored of a person
            retention,  # noqa: F401 - registers what becomes of old rows
        )
