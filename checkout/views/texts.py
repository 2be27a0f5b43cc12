"""The pages of the shop's own texts."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from checkout.texts.markup import html_of
from checkout.texts.models import TextKind
from checkout.texts.read import read_text


@never_cache
@require_safe
def text_page(request: HttpRequest, kind: str) -> HttpResponse:
    text = None if kind == TextKind.WELCOME else read_text(kind)
    if text is None:
        raise Http404
    if kind == TextKind.DELIVERY:
        return redirect("delivery_prices")
    return render(request, "checkout/text.html", {"text": text, "html": html_of(text.body)})
