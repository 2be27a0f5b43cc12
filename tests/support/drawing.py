"""Pages of the admin that are answered and not drawn."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.template.response import SimpleTemplateResponse


@contextmanager
def without_drawing() -> Iterator[None]:
    """A view decides how it answers before its page is drawn, which takes most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimpleTemplateResponse, "rendered_content", "")
        yield
