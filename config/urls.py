from django.contrib import admin
from django.urls import include, path

from config import probes

urlpatterns = [
    path("healthz", probes.healthz),
    path("readyz", probes.readyz),
    path("metrics", probes.metrics_page),
    path("admin/", admin.site.urls),
    path("payments/", include("payments.urls")),
    path("", include("checkout.urls")),
]

handler400 = "checkout.views.error_pages.bad_request"
handler403 = "checkout.views.error_pages.forbidden"
handler404 = "checkout.views.error_pages.not_found"
handler500 = "checkout.views.error_pages.server_error"
