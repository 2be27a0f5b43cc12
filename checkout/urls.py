from django.urls import include, path, register_converter

from checkout.views import account, checkout, delivery_prices, find, shop, texts, withdrawal
from checkout.views.order import cancel as cancel_page
from checkout.views.order import invoice as invoices
from checkout.views.order import page as order_page


class ReferenceConverter:
    regex = "[A-Za-z0-9_-]{22}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class InvoiceNumberConverter:
    regex = "[A-Z0-9]{1,10}-[0-9]{4}-[0-9]{6,10}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(ReferenceConverter, "reference")
register_converter(InvoiceNumberConverter, "invoice_number")

urlpatterns = [
    path("api/v1/", include("checkout.api.urls")),
    path("", shop.product_list, name="product_list"),
    path("products/<slug:slug>/", shop.product_page, name="product"),
    path("delivery/", delivery_prices.delivery_prices, name="delivery_prices"),
    path("pages/<slug:kind>/", texts.text_page, name="text"),
    path("cart/", shop.cart_page, name="cart"),
    path("cart/add/", shop.cart_add, name="cart_add"),
    path("cart/change/", shop.cart_change, name="cart_change"),
    path("checkout/", checkout.checkout, name="checkout"),
    path("checkout/total/", checkout.checkout_total, name="checkout_total"),
    path("checkout/ordered-before/", checkout.see_similar_order, name="see_similar_order"),
    path("account/", account.account, name="account"),
    path("account/sign-in/", account.SignIn.as_view(), name="sign_in"),
    path("account/sign-out/", account.SignOut.as_view(), name="sign_out"),
    path("account/sign-up/", account.sign_up, name="sign_up"),
    path("account/sign-up/sent/", account.sign_up_sent, name="sign_up_sent"),
    path("account/sign-up/<str:token>/", account.new_account, name="sign_up_new"),
    path("account/password/", account.AskForPassword.as_view(), name="password"),
    path("account/password/sent/", account.PasswordSent.as_view(), name="password_sent"),
    path(
        "account/password/<uidb64>/<token>/",
        account.NewPassword.as_view(),
        name="password_new",
    ),
    path("withdrawal/", withdrawal.withdrawal, name="withdrawal"),
    path(
        "withdrawal/received/<str:signed>/",
        withdrawal.withdrawal_received,
        name="withdrawal_received",
    ),
    path("orders/find/", find.find_order, name="order_find"),
    path("orders/find/sent/", find.link_sent, name="order_find_sent"),
    path("orders/link/<str:token>/", find.open_link, name="order_link"),
    path("orders/<reference:reference>/", order_page.order_page, name="order"),
    path("orders/<reference:reference>/status/", order_page.order_status, name="order_status"),
    path("orders/<reference:reference>/pay/", order_page.pay, name="pay"),
    path("orders/<reference:reference>/cancel/", cancel_page.cancel, name="order_cancel"),
    path(
        "orders/<reference:reference>/invoices/<invoice_number:number>/",
        invoices.invoice_page,
        name="invoice",
    ),
    path(
        "orders/<reference:reference>/invoices/<invoice_number:number>.pdf",
        invoices.invoice_pdf,
        name="invoice_pdf",
    ),
]
