"""What the documents say is what the code does."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from checkout.orders.states import TRANSITIONS as ORDER_TRANSITIONS
from payments.states import TRANSITIONS as PAYMENT_TRANSITIONS
from tests.support.runbook import QUESTIONS, RUNBOOK, Page, pages

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
INDEX = DOCS / "README.md"
DOCUMENTS = [README, *sorted(DOCS.glob("*.md"))]
ARCHITECTURE = (DOCS / "architecture.md").read_text()
EVERYTHING = "\n".join(document.read_text() for document in DOCUMENTS)

WORDS_OF_README_AT_MOST = 1500
FILES_ON_THE_WAY_AT_MOST = 13

# Folders that Django prescribes.
NO_ROOMS = {"management", "migrations", "templatetags"}


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


def test_configuration_explains_every_setting() -> None:
    settings = (ROOT / "config" / "settings.py").read_text()
    read = set(re.findall(r'(?:env\.\w+|required)\(\s*"(\w+)"', settings))

    explained = set(re.findall(r"`([A-Z_]+)`", (DOCS / "configuration.md").read_text()))

    assert len(read) > 20
    assert read - explained == set()


def test_documents_name_only_commands_that_exist() -> None:
    named = set(re.findall(r"manage\.py (\w+)", EVERYTHING))
    table = (DOCS / "operations.md").read_text()
    named |= set(re.findall(r"^\| `([a-z]+_[a-z_]+)[` ]", table, re.MULTILINE))

    assert {"audit_orders", "requeue_orders"} <= named
    assert named - set(get_commands()) == set()


def test_documents_name_only_targets_of_make_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", EVERYTHING, re.MULTILINE))

    assert {"demo", "test", "drill", "guards", "bench"} <= named
    assert named - targets == set()


def test_documents_name_only_modules_that_exist() -> None:
    named = set(re.findall(r"python -m (tests\.[\w.]+)", EVERYTHING))

    assert len(named) > 2
    for name in named:
        path = ROOT / name.rstrip(".").replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), name


def test_documents_name_only_paths_that_exist() -> None:
    named = set(
        re.findall(r"`((?:checkout|payments|config|templates|deploy|tests)/[\w./]*)`", EVERYTHING)
    )

    assert len(named) > 50
    assert {path for path in named if not (ROOT / path).exists()} == set()


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


def test_readme_is_short() -> None:
    assert len(README.read_text().split()) <= WORDS_OF_README_AT_MOST


def test_index_leads_to_every_document() -> None:
    linked = set(re.findall(r"\]\((\w+\.\w+)\)", INDEX.read_text()))

    assert linked >= {path.name for path in DOCS.iterdir() if path.is_file()} - {INDEX.name}
    assert "(docs/README.md)" in README.read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def anchors(document: Path) -> set[str]:
    """As GitHub makes them from the titles."""
    titles = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_first_sentence_of_each_document_names_its_reader() -> None:
    readers = [page for page in DOCUMENTS if page != README]

    assert {
        page.name
        for page in readers
        if not re.match(r"# .*\n\nThis page is[^.]* for ", page.read_text())
    } == set()


def test_map_leads_a_purchase_through_a_few_files() -> None:
    page = (DOCS / "map.md").read_text()
    way = page.partition("\n## A purchase, from POST to delete\n")[2].partition("\n## ")[0]
    files = re.findall(r"^(\d+)\. `([\w/]+\.py)`", way, re.MULTILINE)

    assert [int(number) for number, _ in files] == list(range(1, len(files) + 1))
    assert 5 < len(files) <= FILES_ON_THE_WAY_AT_MOST
    assert len(set(files)) == len(files)
    assert {file for _, file in files if not (ROOT / file).is_file()} == set()


def test_map_names_every_room() -> None:
    page = (DOCS / "map.md").read_text()
    rooms = {
        f"{room.relative_to(ROOT)}/"
        for app in ("checkout", "checkout/orders", "payments")
        for room in (ROOT / app).iterdir()
        if list(room.glob("*.py")) and room.name not in NO_ROOMS
    }

    assert len(rooms) > 20
    assert {room for room in rooms if f"`{room}`" not in page} == set()


def test_development_gives_a_reason_for_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    wanted = [each for group in groups for each in group if isinstance(each, str)]
    names = {re.split(r"[^A-Za-z0-9-]", each)[0] for each in wanted}
    page = (DOCS / "development.md").read_text()
    table = page[page.index("| Dependency | Why |") :]

    assert len(names) > 20
    assert {name for name in names if not re.search(rf"\b{name}\b", table)} == set()
