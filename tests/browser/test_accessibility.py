"""axe-core finds nothing against WCAG 2.2, A and AA, on any page, light and dark."""

import subprocess
import sys

import pytest

from tests.browser.screenshots import AXE, ROOT
from tests.long import at_length


# The browser here is for being skipped where there is none; the pages are looked at by another.
@pytest.mark.skipif(
    not AXE.exists(), reason="axe-core is not here: `npm ci` in tests/browser/axe brings it"
)
@pytest.mark.usefixtures("browser")
@pytest.mark.timeout(500)
@pytest.mark.parametrize("variants", ["few", *at_length("all")])
def test_no_page_breaks_a_rule(variants: str) -> None:
    few = ["--few"] if variants == "few" else []
    checked = subprocess.run(
        [sys.executable, "-m", "tests.browser.screenshots", "--accessibility", *few],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    print(checked.stdout[-4000:], checked.stderr[-4000:])
    assert checked.returncode == 0
