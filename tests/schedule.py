"""Which test is run when, and by which of several processes."""

import pytest
from xdist.scheduler import LoadScopeScheduling

BROWSER = "tests/browser/"

# A shop of its own processes, for the whole file; and a browser of its own.
SHOP = f"{BROWSER}test_bad_networks.py"
ACCESSIBILITY = f"{BROWSER}test_accessibility.py"


class Schedule(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Each test goes to the process that is free. Only what shares a browser stays together, so
    that it is started once."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if not file.startswith(BROWSER) or file == ACCESSIBILITY:
            return nodeid
        return file if file == SHOP else BROWSER


def longest_first(items: list[pytest.Item]) -> None:
    """What has a time limit of its own comes first, so that in the end no process is left alone
    with a test of minutes. All else stays in the random order in which it is."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)
