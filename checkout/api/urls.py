from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView

from checkout.api import views
from checkout.api.fulfilment import views as fulfilment

urlpatterns = [
    path("products/", views.ProductList.as_view(), name="api_products"),
    path("quotes/", views.QuotePurchase.as_view(), name="api_quotes"),
    path("orders/", views.OrderList.as_view(), name="api_orders"),
    path("orders/<reference:reference>/", views.OrderDetail.as_view(), name="api_order"),
    path("orders/<reference:reference>/pay/", views.PayOrder.as_view(), name="api_pay"),
    path("orders/<reference:reference>/cancel/", views.CancelOrder.as_view(), name="api_cancel"),
    path("to-send/", fulfilment.ToSendList.as_view(), name="api_to_send"),
    path(
        "orders/<reference:reference>/shipments/",
        fulfilment.ShipOrder.as_view(),
        name="api_shipments",
    ),
    path("problems/<slug:slug>", views.ProblemType.as_view(), name="api_problem"),
    path("openapi.yaml", SpectacularAPIView.as_view(), name="api_document"),
    path("docs/", views.docs_page, name="api_docs"),
    re_path(r"", views.UnknownAddress.as_view(), name="api_nowhere"),
]
