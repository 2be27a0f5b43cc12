"""axe-core finds nothing against WCAG 2.2, A and AA, on any page, light and dark."""

import os
import subprocess
import sys

import pytest

from tests.browser.screenshots import AXE, ROOT
from tests.long import at_length


@pytest.mark.timeout(500)
@pytest.mark.parametrize("variants", ["few", *at_length("all")])
def test_no_page_breaks_a_rule(variants: str) -> None:
    if not AXE.exists() and not os.environ.get("CI"):
        pytest.skip("axe-core is not here: `npm ci` in tests/browser/axe brings it")
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
