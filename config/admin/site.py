"""The admin's own site: the dashboard, and a second factor for staff unless a shop does without."""

from functools import wraps
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.admin import AdminSite, ModelAdmin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path, reverse

from checkout.middleware.safe_methods import SAFE
from config.admin.changed_fields import field_by_field

if TYPE_CHECKING or not settings.STAFF_SECOND_FACTOR:
    Site = AdminSite
else:
    from config.admin.sign_in import SecondFactorSite as Site


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
        """Register every model, also of Django and of packages, with forms saved field by field."""
        admin_class = field_by_field(admin_class or ModelAdmin)
        super().register(model_or_iterable, admin_class, **options)

    def get_urls(self) -> list[URLResolver | URLPattern]:
        return [
            path("dashboard/", self.admin_view(self.dashboard_view), name="dashboard"),
            *super().get_urls(),
        ]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        from checkout.orders.admin.warehouse.permission import MAY_SHIP  # needs the models
        from checkout.orders.admin.warehouse.to_send import to_send_in_words

        if request.user.has_perm(MAY_SHIP):
            extra_context = {"to_send": to_send_in_words(), **(extra_context or {})}
        return super().index(request, extra_context)

    def catch_all_view(self, request: HttpRequest, url: str) -> HttpResponse:
        """Refuse forms: Django would redirect them to the address with a slash, as a GET."""
        if request.method not in SAFE:
            raise Http404
        return super().catch_all_view(request, url)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Answer a form of somebody who was signed out meanwhile with what they typed. Django would
        redirect to the sign-in page, and neither keep that nor say that nothing was done."""
        guarded = super().admin_view(view, cacheable)

        @wraps(guarded)
        def with_what_was_typed(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            is_sign_out = request.path == reverse("admin:logout", current_app=self.name)
            if request.method in SAFE or is_sign_out or self.has_permission(request):
                return guarded(request, *args, **kwargs)
            from checkout.refused_forms import signed_out  # needs the models

            return signed_out(request)

        return with_what_was_typed

    def dashboard_view(self, request: HttpRequest) -> HttpResponse:
        from payments.admin.dashboard import dashboard_view  # needs the models

        return dashboard_view(request, self.each_context(request))
