"""The demo's texts come with the demo's catalogue alone."""

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils.html import escape

from checkout.texts.models import ShopText, TextKind

pytestmark = pytest.mark.django_db


def load() -> None:
    call_command("load_demo_catalogue", verbosity=0)


def test_every_text_is_there_in_both_languages_and_marked() -> None:
    assert not ShopText.objects.exists()

    load()

    rows = {(text.kind, text.language): text for text in ShopText.objects.all()}
    assert set(rows) == {(kind, language) for kind in TextKind for language in ("en", "de")}
    assert all(text.is_demo and text.title and text.body for text in rows.values())


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_demo_text_has_a_page_that_says_so(client: Client, language: str) -> None:
    load()
    mark = {"en": "Demo text: replace it", "de": "Demotext: Ersetzen Sie ihn"}[language]

    for text in ShopText.objects.filter(language=language).exclude(kind=TextKind.WELCOME):
        path = "/delivery/" if text.kind == TextKind.DELIVERY else f"/pages/{text.kind}/"
        page = client.get(path, headers={"accept-language": language}).content.decode()
        assert mark in page
        assert escape(text.title) in page


def test_what_the_shop_has_written_stays_alone() -> None:
    own = ShopText.objects.create(kind="imprint", language="de", title="Impressum", body="Wir")

    load()
    load()

    assert list(ShopText.objects.filter(kind="imprint")) == [own]
    assert ShopText.objects.get(pk=own.pk).body == "Wir"
    assert ShopText.objects.count() == 2 * len(TextKind) - 1
