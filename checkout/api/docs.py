from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@require_safe
def docs_page(request: HttpRequest) -> HttpResponse:
    """Swagger UI, from this shop's own static files."""
    title = settings.SPECTACULAR_SETTINGS["TITLE"]
    return render(request, "api/docs.html", {"title": title})
