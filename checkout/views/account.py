"""Accounts, which nobody needs: an order history, and no typing of the address again.

Signing in keeps the cart and the purchase's token: both are in the session, which goes on.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth import login, views
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse, reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from checkout.access import OrderHidden
from checkout.errors import too_many_requests
from checkout.forms import NewPasswordForm, ResetForm, SignInForm, SignUpForm
from checkout.order_status import status_words
from checkout.orders.limits import wait_before_looking_up
from checkout.orders.models import Order
from checkout.responses import HttpResponseSeeOther
from checkout.runtime.clock import database_now
from checkout.visitor import visitor_of

ORDERS_ON_A_PAGE = 20

View = Callable[..., HttpResponseBase]


def slowed_down(view: View) -> View:
    """Each press may tell whether there is such an account or password."""

    @wraps(view)
    def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST":
            wait = wait_before_looking_up(visitor_of(request), now=database_now())
            if wait:
                return too_many_requests(request, wait.total_seconds())
        return view(request, *args, **kwargs)

    return limited


@method_decorator(slowed_down, name="dispatch")
class SignIn(views.LoginView):
    authentication_form = SignInForm
    template_name = "account/sign_in.html"
    redirect_authenticated_user = True


class SignOut(views.LogoutView):
    http_method_names = ["post", "options"]

    def get_success_url(self) -> str:
        return reverse("product_list")


@slowed_down
@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    form = SignUpForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        context = {"form": form, "next": _next(request)}
        status = 422 if form.is_bound else 200
        return render(request, "account/sign_up.html", context, status=status)
    login(request, form.save(), backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponseSeeOther(_next(request) or reverse("account"))


@never_cache
@require_safe
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """The newest orders; older ones from the last of a page on, which costs the same for each."""
    orders = Order.objects.filter(customer=request.user.pk).order_by("-id")
    if before := request.GET.get("before"):
        last = orders.filter(reference=before).first()
        if last is None:
            raise OrderHidden
        orders = orders.filter(pk__lt=last.pk)
    found = list(orders[: ORDERS_ON_A_PAGE + 1])
    shown = found[:ORDERS_ON_A_PAGE]
    context = {
        "orders": [(order, status_words(order).headline) for order in shown],
        "older_than": shown[-1].reference if len(found) > len(shown) else None,
        "is_first_page": not before,
    }
    return render(request, "account/account.html", context)


@method_decorator([never_cache, slowed_down], name="dispatch")
class AskForPassword(views.PasswordResetView):
    """Says the same whether there is such an account or not."""

    form_class = ResetForm
    template_name = "account/password.html"
    email_template_name = "emails/password.txt"
    subject_template_name = "emails/password_subject.txt"
    success_url = reverse_lazy("password_sent")

    def form_valid(self, form: Any) -> HttpResponse:
        self.extra_email_context = {
            "shop": settings.SHOP_NAME,
            "shop_url": settings.SHOP_URL or self.request.build_absolute_uri("/").rstrip("/"),
        }
        return super().form_valid(form)


class PasswordSent(views.PasswordResetDoneView):
    template_name = "account/password_sent.html"


class NewPassword(views.PasswordResetConfirmView):
    form_class = NewPasswordForm
    template_name = "account/password_new.html"
    success_url = reverse_lazy("account")
    post_reset_login = True
    post_reset_login_backend = "django.contrib.auth.backends.ModelBackend"


def _next(request: HttpRequest) -> str:
    """Where to go on afterwards: an address of this shop, or none."""
    asked = request.POST.get("next", request.GET.get("next", ""))
    is_ours = url_has_allowed_host_and_scheme(
        asked, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return asked if is_ours else ""
