"""The drawing of a product: a static file named after its SKU, or the one for all others."""

from functools import lru_cache

from django.contrib.staticfiles import finders
from django.core.exceptions import SuspiciousFileOperation
from django.templatetags.static import static

FOLDER = "catalogue"
FALLBACK = f"{FOLDER}/drawing.svg"


# This is asked for every product on a page. Files of a release do not change while it runs.
@lru_cache(maxsize=1024)
def has_own_drawing(sku: str) -> bool:
    try:
        return finders.find(_path(sku)) is not None
    except SuspiciousFileOperation:  # a SKU that was written past the form, with dots and slashes
        return False


def drawing_url(sku: str) -> str:
    return static(_path(sku) if has_own_drawing(sku) else FALLBACK)


def _path(sku: str) -> str:
    return f"{FOLDER}/{sku}.svg"
