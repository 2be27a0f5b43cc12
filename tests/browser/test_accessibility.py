"""axe-core finds nothing against WCAG 2.2, A and AA, on any page, light and dark."""

import os
import subprocess
import sys

import pytest

from tests.browser.screenshots import AXE, ROOT


@pytest.mark.timeout(500)
def test_no_page_breaks_a_rule() -> None:
    if not AXE.exists() and not os.environ.get("CI"):
        pytest.skip("axe-core is not here: `npm ci` in tests/browser/axe brings it")
    checked = subprocess.run(
        [sys.executable, "-m", "tests.browser.screenshots", "--accessibility"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    print(checked.stdout[-4000:], checked.stderr[-4000:])
    assert checked.returncode == 0
