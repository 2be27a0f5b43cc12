"""What the documents say is what the code does."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from checkout.orders.states import TRANSITIONS as ORDER_TRANSITIONS
from payments.states import TRANSITIONS as PAYMENT_TRANSITIONS
from tests.support.runbook import QUESTIONS, RUNBOOK, Page, pages

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()


def drawn(title: str) -> set[tuple[str, str]]:
    (drawing,) = re.findall(rf'state "{title}.*?" as \w+ {{(.*?)    }}\n', ARCHITECTURE, re.DOTALL)
    return set(re.findall(r"(\w+) --> (\w+)", drawing))


@pytest.mark.parametrize(
    ("title", "transitions"), [("Order", ORDER_TRANSITIONS), ("Payment", PAYMENT_TRANSITIONS)]
)
def test_every_allowed_transition_is_drawn_and_no_other(
    title: str, transitions: Mapping[str, frozenset[str]]
) -> None:
    allowed = {
        (str(source), str(target)) for source, targets in transitions.items() for target in targets
    }

    assert drawn(title) == allowed


def test_readme_explains_every_setting() -> None:
    settings = (ROOT / "config" / "settings.py").read_text()
    read = set(re.findall(r'(?:env\.\w+|required)\(\s*"(\w+)"', settings))

    explained = set(re.findall(r"`([A-Z_]+)`", README))

    assert len(read) > 20
    assert read - explained == set()


def test_readme_names_only_commands_that_exist() -> None:
    named = set(re.findall(r"manage\.py (\w+)", README + ARCHITECTURE))
    named |= set(re.findall(r"^\| `([a-z]+_[a-z_]+)[` ]", README, re.MULTILINE))

    assert "audit_orders" in named
    assert named - set(get_commands()) == set()


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.anchor)
def test_page_of_the_runbook_answers_every_question(page: Page) -> None:
    bold = re.findall(r"^\*\*(.+?)\.\*\*", page.text, re.MULTILINE)

    assert bold == QUESTIONS
    assert all(page.commands(question) for question in ("Look", "Fixed when"))


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.anchor)
def test_runbook_gives_commands_the_arguments_they_take(page: Page) -> None:
    for question in QUESTIONS:
        for name, *arguments in (each for block in page.commands(question) for each in block):
            assert name in get_commands(), name
            command = load_command_class(get_commands()[name], name)
            command.create_parser("manage.py", name).parse_args(arguments)  # or ends the test


def test_runbook_leads_to_all_of_its_pages_and_to_no_other() -> None:
    text = RUNBOOK.read_text()
    anchors = [page.anchor for page in pages()]

    assert re.findall(r"^- \[.*\]\(#(.*)\)$", text, re.MULTILINE) == anchors
    assert set(re.findall(r"\]\(#(.*?)\)", text)) == set(anchors)


def test_readme_leads_to_every_document() -> None:
    linked = set(re.findall(r"\]\(docs/(\w+\.md)\)", README))

    assert linked >= {path.name for path in (ROOT / "docs").glob("*.md")}


def test_readme_gives_a_reason_for_every_dependency() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    names = set(re.findall(r'^    "([a-z0-9-]+)[^"]*",$', project, re.MULTILINE))
    table = README[README.index("| Dependency | Why |") :]

    assert len(names) > 20
    assert {name for name in names if not re.search(rf"\b{name}\b", table)} == set()
