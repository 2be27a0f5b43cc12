"""`check --deploy` names each text that is missing or still the demo's."""

import pytest
from django.core.management import call_command
from pytest_django.fixtures import Settings

from checkout.texts.checks import check_texts
from checkout.texts.models import ShopText, TextKind

MUST_BE_WRITTEN = [kind for kind in TextKind if kind != TextKind.WELCOME]


def found() -> list[tuple[str | None, str]]:
    return [(message.id, message.msg) for message in check_texts()]


@pytest.mark.django_db
def test_each_missing_text_is_named() -> None:
    assert found() == [
        ("texts.W001", f"The text {kind} is not written.") for kind in MUST_BE_WRITTEN
    ]


@pytest.mark.django_db
def test_text_in_another_language_than_the_shops_is_named(settings: Settings) -> None:
    settings.LANGUAGE_CODE = "de"
    for kind in MUST_BE_WRITTEN:
        ShopText.objects.create(kind=kind, language="de", title="x", body="x")
    ShopText.objects.filter(kind="terms").update(language="en")

    assert found() == [("texts.W001", "The text terms is not written in the shop's language (de).")]


@pytest.mark.django_db
def test_demo_texts_are_named_until_they_are_replaced() -> None:
    call_command("load_demo_catalogue", verbosity=0)

    named = found()
    assert ("texts.W002", "The text imprint (de) is the demo's.") in named
    assert len(named) == 2 * len(TextKind)

    ShopText.objects.update(is_demo=False)
    assert found() == []
