"""Which test is run when, and by which of several processes."""

import pytest
from xdist.scheduler import LoadScopeScheduling

BROWSER = "tests/browser/"

# A browser of its own.
ACCESSIBILITY = f"{BROWSER}test_accessibility.py::test_no_page_breaks_a_rule"

# All tests of a file share what takes long: a shop of its own processes, the image's files, a page
# of commands that is typed, a module that is loaded, or what all modules import. Runs of the bench
# share their folder, and would wait for one another in two processes.
TOGETHER = {
    "tests/config/test_floors.py",
    f"{BROWSER}test_bad_networks.py",
    f"{BROWSER}test_break_page.py",
    "tests/deploy/test_aws_docs.py",
    "tests/deploy/test_rehearsal.py",
    "tests/deploy/test_template_lint.py",
    "tests/tools/bench/test_bench.py",
}


class Schedule(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Each test goes to the process that is free. Only what shares something costly stays together,
    so that it is started once."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file in TOGETHER:
            return file
        return BROWSER if file.startswith(BROWSER) and nodeid != ACCESSIBILITY else nodeid


def longest_first(items: list[pytest.Item]) -> None:
    """What has a time limit of its own comes first, so that in the end no process is left alone
    with a test of minutes. All else stays in the random order in which it is."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)
