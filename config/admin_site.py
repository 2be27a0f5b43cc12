"""The admin's own site: the dashboard, and a second factor for staff unless a shop does without."""

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.admin import AdminSite, ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path

from config.field_by_field import field_by_field

if TYPE_CHECKING or not settings.STAFF_SECOND_FACTOR:
    Site = AdminSite
else:
    from config.staff_sign_in import SecondFactorSite as Site


class ShopAdminSite(Site):
    site_header = f"{settings.SHOP_NAME} · orders"
    site_title = settings.SHOP_NAME
    index_template = "payments/admin_index.html"

    name = "admin"

    def register(
        self,
        model_or_iterable: Any,
        admin_class: type[ModelAdmin[Any]] | None = None,
        **options: Any,
    ) -> None:
        """Every form, also those of Django and of packages, is one beside a running shop."""
        admin_class = field_by_field(admin_class or ModelAdmin)
        super().register(model_or_iterable, admin_class, **options)

    def get_urls(self) -> list[URLResolver | URLPattern]:
        return [
            path("dashboard/", self.admin_view(self.dashboard_view), name="dashboard"),
            *super().get_urls(),
        ]

    def dashboard_view(self, request: HttpRequest) -> HttpResponse:
        from payments.desk.dashboard import dashboard_view  # needs the models

        return dashboard_view(request, self.each_context(request))
