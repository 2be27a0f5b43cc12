"""axe-core finds nothing against WCAG 2.2, A and AA: by `make test` on the way to buy, and by
`make test-long` on any page, light and dark."""

import subprocess
import sys

import pytest

from tests.browser.conftest import Visit, needs_axe
from tests.browser.screenshots import ROOT, violations_of
from tests.support.long import long
from tests.support.till import Till

pytestmark = needs_axe


def test_way_to_buy_breaks_no_rule(visit: Visit, till: Till) -> None:
    visitor = visit(width=360)
    visitor.open_checkout()
    violations = violations_of(visitor.page, "checkout")
    visitor.place_order()

    assert violations + violations_of(visitor.page, "order") == []


# The browser here is for being skipped where there is none; the pages are looked at by another.
@long
@pytest.mark.usefixtures("browser")
@pytest.mark.timeout(1000)
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
