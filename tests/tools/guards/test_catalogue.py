"""The list of guards keeps fitting the source; `make guards` runs it."""

from pathlib import Path

import pytest

from tests.tools.guards.__main__ import ROOT, edited
from tests.tools.guards.catalogue import GUARDS, Guard


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_guard_is_where_the_catalogue_says(guard: Guard) -> None:
    for edit in guard.edits:
        text = (ROOT / edit.file).read_text()
        assert edited(text, edit.old, edit.new) != text
    file, _, test = guard.test.partition("::")
    assert f"def {test}(" in Path(ROOT, file).read_text()
