from django.apps import AppConfig


class TextsConfig(AppConfig):
    name = "checkout.texts"
    label = "texts"
    verbose_name = "Texts"

    def ready(self) -> None:
        from checkout.texts import checks  # noqa: F401 - registers the system checks
