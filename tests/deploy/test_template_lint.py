"""No template has what Amazon's own linter calls a fault. `make lint` has it read all of them, as
`make test-long` does; `make test` has it read one. These tests stay in one process, because the
linter takes a second to load."""

import pytest

from tests.deploy.templates import NAMES, path_of
from tests.support.long import all_or


@pytest.mark.parametrize("name", all_or(["queues"], NAMES))
def test_template_passes_the_linter(name: str) -> None:
    from cfnlint.api import lint_file

    assert [str(match) for match in lint_file(path_of(name))] == []
