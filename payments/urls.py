from django.urls import path

from payments import views

urlpatterns = [path("webhooks/<slug:gateway>/", views.webhook, name="payment_webhook")]
