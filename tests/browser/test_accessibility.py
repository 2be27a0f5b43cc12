"""axe-core finds nothing against WCAG 2.2, A and AA, on any page, light and dark."""

import subprocess
import sys

import pytest

from tests.browser.screenshots import AXE, ROOT


# The browser here is for being skipped where there is none; the pages are looked at by another.
@pytest.mark.skipif(
    not AXE.exists(), reason="axe-core is not here: `npm ci` in tests/browser/axe brings it"
)
@pytest.mark.usefixtures("browser")
@pytest.mark.timeout(500)
def test_no_page_breaks_a_rule() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "tests.browser.screenshots", "--accessibility"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    print(checked.stdout[-4000:], checked.stderr[-4000:])
    assert checked.returncode == 0
