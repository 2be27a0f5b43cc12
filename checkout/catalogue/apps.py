from django.apps import AppConfig


class CatalogueConfig(AppConfig):
    name = "checkout.catalogue"
    label = "catalogue"
    verbose_name = "Catalogue"
