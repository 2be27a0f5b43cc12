"""The pages on which staff act: each says what will happen, asks for a reason, does one thing under
the name of the person who asked, and tells what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.models import Order
from checkout.runtime.clock import database_now
from checkout.user_input.form_fields import WithoutCardNumbers


def reason_field(
    label: str = "Reason",
    *,
    min_length: int | None = None,
    help_text: str = "For whoever looks at this order next.",
) -> forms.CharField:
    return forms.CharField(
        label=label,
        min_length=min_length,
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text=help_text,
    )


class StaffForm(WithoutCardNumbers, forms.Form):
    # The field that says why nothing was done. None: the whole form does.
    refused_at: ClassVar[str | None] = None


class ReasonForm(StaffForm):
    """The reason is asked for last. Each form is given its page's order: some depend on it."""

    why = reason_field()

    def __init__(self, *args: Any, order: Order | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order_fields([name for name in self.fields if name != "why"])


def person_who_may(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, permission: str
) -> User:
    """The person who asks, if they may look at these rows and have the permission."""
    user = request.user
    if not (model_admin.has_view_permission(request) and user.has_perm(permission)):
        raise PermissionDenied
    assert isinstance(user, User)  # noqa: S101 - for the type checker
    return user


@dataclass(frozen=True, kw_only=True)
class ReasonPage:
    """What the page says, and what its button does. `act` gets each field of the form by name, and
    `by` and `now`; it answers what the person is told."""

    title: str
    explains: str
    label: str
    back: str  # the address to return to
    act: Callable[..., str]
    is_possible: bool = True
    warning: str = ""

    def answer(
        self, model_admin: admin.ModelAdmin[Any], request: HttpRequest, form: StaffForm
    ) -> HttpResponse:
        """Ask, or do it. Only a POST does anything."""
        if request.method == "POST" and form.is_valid():
            by, now = request.user.get_username(), database_now()
            try:
                with transaction.atomic():
                    message = self.act(**form.cleaned_data, by=by, now=now)
            except ActionImpossible as error:
                form.add_error(form.refused_at, str(error))
            else:
                model_admin.message_user(request, message, messages.SUCCESS)
                return redirect(self.back)
        return self.ask(model_admin, request, form)

    def ask(
        self, model_admin: admin.ModelAdmin[Any], request: HttpRequest, form: StaffForm
    ) -> HttpResponse:
        context = {"title": self.title, "page": self, "form": form, "opts": model_admin.opts}
        return TemplateResponse(
            request, "admin_reason.html", model_admin.admin_site.each_context(request) | context
        )
