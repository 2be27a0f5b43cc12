"""`quote` is a pure function: what it is made of can reach no database, clock, file or network.

That it imports nothing else of ours is shown in `tests/config/test_floors.py`.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import checkout.quotes
from tests.config.test_floors import ROOT, imports_of

MODULES = sorted(Path(checkout.quotes.__path__[0]).glob("*.py"))

# What can be computed with; of `datetime` the type alone.
PURE = {
    *("collections", "dataclasses", "decimal", "enum", "fractions", "hashlib", "json", "math"),
    *("re", "unicodedata"),
}

# Methods of types that are imported for other reasons, which read the clock.
CLOCKS = {"today", "now", "utcnow"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_module_imports_only_what_computes(module: Path) -> None:
    imported = set(imports_of(module))

    others = {name for name in imported if name.partition(".")[0] not in PURE}
    assert {name for name in others if not name.startswith("checkout.quotes.")} <= {"datetime.date"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_module_asks_no_clock_and_opens_nothing(module: Path) -> None:
    tree = ast.parse(module.read_text())
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]

    names = {func.attr if isinstance(func, ast.Attribute) else ast.unparse(func) for func in calls}
    assert not names & {*CLOCKS, "open", "__import__", "eval", "exec", "print", "input"}


LOADED = """
import sys
import checkout.quotes.quote
print(sorted({m.split(".")[0] for m in sys.modules} & {"django", "psycopg", "socket", "time"}))
"""


def test_it_runs_without_django() -> None:
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert "django" not in loaded.stdout
    assert "psycopg" not in loaded.stdout
