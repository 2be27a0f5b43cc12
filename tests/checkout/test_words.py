"""Every sentence that a shopper can meet is in one catalogue, in English and in German."""

import ast
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.core import mail
from django.test import Client
from django.utils import timezone
from django.utils.translation import gettext, ngettext, override

from checkout.catalogue.models import Product
from checkout.orders.mail.send import send_next
from checkout.orders.mail.server import configured_mail_server
from checkout.orders.models import Mail, Order
from tests.support.shopper import Answer, InProcess, Shopper

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "checkout" / "locale" / "de" / "LC_MESSAGES" / "django.po"
TEMPLATES = [path for path in sorted((ROOT / "templates").rglob("*.*")) if "admin" not in path.name]
CODE = [
    path
    for room in ("checkout", "payments/gateways")
    for path in sorted((ROOT / room).rglob("*.py"))
]

MARK = re.compile(r"\{% translate (?:\"([^\"]+)\"|'([^']+)')")
BLOCK = re.compile(r"\{% blocktranslate[^%]*%\}.*?\{% endblocktranslate %\}", re.DOTALL)
# What is left of a template without its tags, its comments and what is in angle brackets.
MARKUP = re.compile(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}|<(?:[^<>\"]|\"[^\"]*\")*>", re.DOTALL)
WORDS_IN_ATTRIBUTES = re.compile(r'(?:aria-label|alt|title|data-[a-z-]+)="[^"{}]*\w+ \w+[^"{}]*"')

PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w+\}")

# Said the same in both.
SAME = {"JavaScript"}


def marked_in_code() -> Iterator[str]:
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"_", "gettext"}:
                [text] = node.args
                if isinstance(text, ast.Constant):
                    yield str(text.value)


def marked_in_templates() -> Iterator[str]:
    for path in TEMPLATES:
        for quoted, single in MARK.findall(path.read_text()):
            yield quoted or single


def test_every_marked_sentence_is_german_too() -> None:
    sentences = {*marked_in_code(), *marked_in_templates()}
    assert len(sentences) > 200

    with override("de"):
        english = [said for said in sentences if gettext(said) == said and said not in SAME]

    assert english == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_no_unmarked_words(path: Path) -> None:
    text = BLOCK.sub("", path.read_text())

    assert WORDS_IN_ATTRIBUTES.findall(text) == []
    assert re.findall(r"[^\W\d_]{2,}", MARKUP.sub(" ", text).replace("page-narrow", "")) == []


def test_catalogue_is_complete_and_compiled() -> None:
    with CATALOGUE.open("rb") as text:
        catalogue = read_po(text, locale="de")
    compiled = BytesIO()
    write_mo(compiled, catalogue)

    assert [message.id for message in catalogue if message.id and not message.string] == []
    assert [message.id for message in catalogue if message.id and message.fuzzy] == []
    assert CATALOGUE.with_suffix(".mo").read_bytes() == compiled.getvalue(), "run `make words`"


def test_placeholders_are_the_same() -> None:
    with CATALOGUE.open("rb") as text:
        for message in read_po(text, locale="de"):
            english, german = [
                [text] if isinstance(text, str) else list(text or [])
                for text in (message.id, message.string)
            ]
            for one, other in zip(english, german, strict=True):
                found = [sorted(PLACEHOLDER.findall(each)) for each in (one, other)]
                assert found[0] == found[1], one


@pytest.fixture
def german(shelf: list[Product]) -> Shopper:
    web = InProcess()
    web.client = Client(
        enforce_csrf_checks=True, headers={"accept-language": "de-AT,de;q=0.9,en;q=0.5"}
    )
    return Shopper(web)


def test_buying_in_german(german: Shopper) -> None:
    def words(answer: Answer) -> str:
        assert '<html lang="de">' in answer.text
        return answer.words

    assert "Regale" in words(german.web.get("/"))
    german.add_to_cart("SKU-01")
    assert "Ihr Warenkorb" in words(german.web.get("/cart/"))
    form_page = german.web.get("/checkout/")
    assert "Zahlungspflichtig bestellen — 10,01\xa0€" in form_page.text
    assert "Irland" in form_page.text
    wrong = german.submit(german.open_checkout() | {"email": "ada"})
    assert "Bitte sehen Sie sich 1 Feld noch einmal an" in words(wrong)
    answer = german.submit(german.open_checkout())

    page = words(german.look(answer))
    assert "Wir haben Ihre Bestellung" in page
    assert "Ihre Bestellung ist bei uns eingegangen." in page
    assert Order.objects.get().language == "de"


def test_mails_are_written_in_the_language_of_the_order(german: Shopper, shopper: Shopper) -> None:
    german.buy("SKU-01")
    shopper.buy("SKU-02")
    with configured_mail_server() as server:
        while send_next(server, now=timezone.now()):
            pass

    assert not Mail.objects.filter(sent_at=None).exists()
    first, second = mail.outbox
    assert first.subject.startswith("Wir haben Ihre Bestellung")
    assert "10,01" in str(first.body)
    assert second.subject.startswith("We have your order")


def test_counted_words() -> None:
    with override("de"):
        said = [ngettext("in %(n)d second", "in %(n)d seconds", n) % {"n": n} for n in (1, 2)]

    assert said == ["in 1 Sekunde", "in 2 Sekunden"]
