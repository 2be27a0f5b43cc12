"""Forms that are refused because of who sent them, or seems to: nothing that was typed is lost."""

from django.http import HttpRequest, HttpResponse, QueryDict
from django.middleware import csrf
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checkout.user_input.card_numbers import without_card_numbers
from checkout.views.error_pages import error_page

# Only these fields are shown again: no password, token or payment method.
SHOWN = {
    "email": gettext_lazy("E-mail"),
    "username": gettext_lazy("E-mail"),
    "number": gettext_lazy("Order number"),
    "full_name": gettext_lazy("Full name"),
    "about": gettext_lazy("Which goods"),
    "address": gettext_lazy("Address"),
    "postcode": gettext_lazy("Postcode"),
    "city": gettext_lazy("Town or city"),
    "quantity": gettext_lazy("Quantity"),
    "amount": gettext_lazy("Amount"),
    "why": gettext_lazy("Reason"),
    "reason": gettext_lazy("Reason"),
}


def why_refused(reason: str) -> tuple[str, str]:
    """The headline, and what happened, when Django's CSRF check refused a form. The page says what
    to do next. Of Django's reasons only the beginnings are fixed texts."""
    if reason == csrf.REASON_NO_CSRF_COOKIE:
        return _("Your browser sent no cookies"), _(
            "Without them we cannot be sure that it was you who sent this. Allow cookies for this "
            "shop, or look whether a proxy takes them away."
        )
    if reason.startswith(("Origin checking failed", "Referer checking failed")):
        return _("Your browser did not say which page this came from"), _(
            "A privacy setting, an add-on or a proxy may hide or change that, and without it we "
            "cannot be sure that it was you who sent this. Allow it for this shop, or use another "
            "browser."
        )
    return _("Please press the button once more"), _(
        "You signed in or out since you opened this form, so we stopped to be sure that it is "
        "really you."
    )


def signed_out(request: HttpRequest) -> HttpResponse:
    """The page for staff who were signed out after they had opened a form."""
    return error_page(
        request,
        status=403,
        headline=_("You are signed out"),
        sentence=_(
            "Nothing was changed, stored or charged. Sign in again in another tab, then go back "
            "and send this form once more."
        ),
        typed=typed_in(request.POST),
    )


def typed_in(post: QueryDict) -> list[tuple[str, str]]:
    """Labels and texts of what was typed, so that it can be copied from the page."""
    return [
        (str(label), text)
        for name, label in SHOWN.items()
        if (text := without_card_numbers(post.get(name, "").strip()))
    ]
