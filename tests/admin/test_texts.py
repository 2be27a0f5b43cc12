"""Staff write the texts in the admin."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from checkout.texts.models import ShopText
from tests.admin.conftest import signed_in

pytestmark = pytest.mark.usefixtures("staff_groups")

ADD = "/admin/texts/shoptext/add/"
TYPED = {"kind": "terms", "language": "de", "title": "AGB", "body": "# Wer\n\nWir."}


@pytest.fixture
def writer() -> Client:
    return signed_in("writer", group="Catalogue")


def test_text_is_written_changed_and_deleted(writer: Client) -> None:
    assert writer.post(ADD, TYPED).status_code == 302
    text = ShopText.objects.get()
    assert (text.kind, text.language, text.is_demo) == ("terms", "de", False)

    address = f"/admin/texts/shoptext/{text.pk}/"
    page = writer.get(address + "change/")
    assert page.status_code == 200
    shown = {f"initial-{name}": value for name, value in TYPED.items()}
    changed = writer.post(address + "change/", TYPED | shown | {"body": "Neu."})
    assert changed.status_code == 302
    assert ShopText.objects.get().body == "Neu."
    assert writer.post(address + "delete/", {"post": "yes"}).status_code == 302
    assert not ShopText.objects.exists()


def test_second_text_of_a_kind_and_language_is_refused(writer: Client) -> None:
    writer.post(ADD, TYPED)

    again = writer.post(ADD, TYPED)

    assert "There is such a text in this language already." in again.content.decode()
    assert ShopText.objects.count() == 1


@pytest.mark.parametrize("group", ["read-only", "support", "operations"])
def test_other_staff_look_and_change_nothing(group: str) -> None:
    text = ShopText.objects.create(kind="terms", language="de", title="AGB", body="x")
    staff = signed_in("staff", group=group)

    assert Group.objects.filter(name=group).exists()
    assert staff.get(f"/admin/texts/shoptext/{text.pk}/change/").status_code == 200
    assert staff.post(f"/admin/texts/shoptext/{text.pk}/change/", TYPED).status_code == 403
    assert staff.post(ADD, TYPED).status_code == 403
