"""Accounts, which are optional: they list a customer's orders and fill in their address.

Signing in keeps the cart and the purchase's token, since both are in the session.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth import authenticate, login, views
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db import transaction
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
from checkout.forms import NewAccountForm, NewPasswordForm, ResetForm, SignInForm, SignUpForm
from checkout.orders.limits.limits import wait_before_looking_up
from checkout.orders.mail.account import queue_account_mail, read_sign_up_token
from checkout.orders.models import AccountMail, Order
from checkout.orders.money.facts import facts_of
from checkout.runtime.clock import database_now
from checkout.views.error_pages import too_many_requests
from checkout.views.order.status_words import status_words
from checkout.views.see_other import HttpResponseSeeOther
from checkout.visitor import visitor_of

ORDERS_ON_A_PAGE = 20

BY_PASSWORD = "django.contrib.auth.backends.ModelBackend"  # noqa: S105 - a class's name

View = Callable[..., HttpResponseBase]


def slowed_down(view: View) -> View:
    """Limit how often a form is sent whose response may tell that an account or password exists."""

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
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """Responds alike whether the address has an account or not; the mail tells its owner."""
    form = SignUpForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        context = {"form": form, "next": _next(request)}
        status = 422 if form.is_bound else 200
        return render(request, "account/sign_up.html", context, status=status)
    queue_account_mail(
        AccountMail.Kind.SIGN_UP,
        form.cleaned_data["email"],
        now=database_now(),
        then=_next(request),
    )
    return HttpResponseSeeOther(reverse("sign_up_sent"))


@never_cache
@require_safe
def sign_up_sent(request: HttpRequest) -> HttpResponse:
    return render(request, "account/sign_up_sent.html")


@slowed_down
@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new_account(request: HttpRequest, token: str) -> HttpResponse:
    """The page behind the link in the mail, in whatever browser that is opened."""
    proved = read_sign_up_token(token)
    if proved is None:
        return render(request, "account/sign_up_new.html", {"is_too_old": True}, status=404)
    email, then = proved
    form = NewAccountForm(email, request.POST if request.method == "POST" else None)
    context = {"form": form, "email": email}
    if not form.is_valid():
        status = 422 if form.is_bound else 200
        return render(request, "account/sign_up_new.html", context, status=status)
    user = form.save(request)
    if user is None:  # the same link made the account before, with another password
        return render(request, "account/sign_up_new.html", {"is_made": True}, status=409)
    login(request, user, backend=BY_PASSWORD)
    return HttpResponseSeeOther(_of_this_shop(request, then) or reverse("account"))


@never_cache
@require_safe
@login_required
def account(request: HttpRequest) -> HttpResponse:
    """Orders, the newest first. Each page starts after the last order of the one before."""
    orders = Order.objects.filter(customer=request.user.pk).order_by("-id")
    if before := request.GET.get("before"):
        last = orders.filter(reference=before).first()
        if last is None:
            raise OrderHidden
        orders = orders.filter(pk__lt=last.pk)
    found = list(orders[: ORDERS_ON_A_PAGE + 1])
    shown = found[:ORDERS_ON_A_PAGE]
    facts = facts_of(shown)
    context = {
        "orders": [(order, status_words(order, facts[order.pk])) for order in shown],
        "older_than": shown[-1].reference if len(found) > len(shown) else None,
        "is_first_page": not before,
    }
    return render(request, "account/account.html", context)


@method_decorator([never_cache, slowed_down], name="dispatch")
class AskForPassword(views.PasswordResetView):
    """Responds in the same way whether there is such an account or not."""

    form_class = ResetForm
    template_name = "account/password.html"
    success_url = reverse_lazy("password_sent")

    def form_valid(self, form: Any) -> HttpResponse:
        """Only queue the mail: Django would look the account up and wait for the mail server."""
        email = form.cleaned_data["email"]
        queue_account_mail(AccountMail.Kind.PASSWORD, email, now=database_now())
        return HttpResponseSeeOther(str(self.success_url))


class PasswordSent(views.PasswordResetDoneView):
    template_name = "account/password_sent.html"


@method_decorator(slowed_down, name="dispatch")
class NewPassword(views.PasswordResetConfirmView):
    form_class = NewPasswordForm
    template_name = "account/password_new.html"
    success_url = reverse_lazy("account")
    post_reset_login = True
    post_reset_login_backend = BY_PASSWORD

    def form_valid(self, form: Any) -> HttpResponse:
        """The second of two presses at once waits, and stores nothing that signs the first out."""
        with transaction.atomic():
            user = User.objects.select_for_update().get(pk=form.user.pk)
            if not user.check_password(form.cleaned_data["new_password1"]):
                return super().form_valid(form)
        login(self.request, user, backend=BY_PASSWORD)
        return HttpResponseSeeOther(str(self.success_url))

    def dispatch(self, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """A second press comes with a link that the first has used up. If it sends the password
        that the first has set, it is redirected to where the first was."""
        response = super().dispatch(*args, **kwargs)
        if self.request.method != "POST" or self.validlink or self.user is None:
            return response
        typed = self.request.POST.get("new_password1", "")
        user = authenticate(self.request, username=self.user.get_username(), password=typed)
        if not isinstance(user, User):
            return response
        login(self.request, user, backend=BY_PASSWORD)
        return HttpResponseSeeOther(str(self.success_url))


def _next(request: HttpRequest) -> str:
    """The address of this shop to go on to afterwards, or an empty text."""
    return _of_this_shop(request, request.POST.get("next", request.GET.get("next", "")))


def _of_this_shop(request: HttpRequest, asked: str) -> str:
    is_ours = url_has_allowed_host_and_scheme(
        asked, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return asked if is_ours else ""
