import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from checkout.catalogue.models import Product
from tests.browser.screenshots import AXE
from tests.browser.visitor import Visitor

Visit = Callable[..., Visitor]
Launch = Callable[[bool], Browser]

# A busy machine needs it for what takes a moment elsewhere. An order's page looks anew after pauses
# that grow to ten seconds.
PATIENCE_MS = 30_000

# A window's address line draws its list by pages of its own, which no test ever sees and which cost
# as much as those of the shop. Playwright has such a list too, of which this one takes the place:
# the rest is from there, of what concerns Chromium on Linux.
OFF = [
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxPopup",
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
    # A frame of its own for each page that is loaded: a quarter of what it costs to load one.
    "RenderDocument",
]
ARGUMENTS = [
    "--no-proxy-server",
    "--disable-gpu",
    f"--disable-features={','.join(OFF)}",
]
# Playwright's own. As for a shopper: Back shows the page as it was left.
UNWANTED = ["--disable-back-forward-cache"]
# What Chromium's processes share would be files in /tmp, each made anew for each part of a page.
# Playwright wants it so because /dev/shm is small in some containers.
MEMORY_ON_DISK = "--disable-dev-shm-usage"
SHARED_BYTES = 500_000_000


needs_axe = pytest.mark.skipif(
    not AXE.exists(), reason="axe-core is not here: `npm ci` in tests/browser/axe brings it"
)


# Chromium without any window draws the same pages for a third less of a processor's time, but keeps
# no page for Back.
WITHOUT_WINDOW = "chromium-headless-shell"
WITH_WINDOW = ["chromium", "chromium-browser", "google-chrome", "/usr/bin/chromium"]


def chromium_path(playwright: Playwright, *, keeps_pages: bool = True) -> str:
    named = WITH_WINDOW if keeps_pages else [WITHOUT_WINDOW, *WITH_WINDOW]
    found = next(filter(None, map(shutil.which, named)), playwright.chromium.executable_path)
    if not Path(found).exists():
        pytest.skip("no Chromium on this machine: `playwright install chromium` gets one")
    return found


def has_shared_memory() -> bool:
    folder = Path("/dev/shm")
    return folder.exists() and shutil.disk_usage(folder).free > SHARED_BYTES


@pytest.fixture(scope="package")
def launch() -> Iterator[Launch]:
    """`launch(True)`: a browser that keeps pages for Back, one for all tests of this package.

    They are gone before any other test runs: while Playwright's synchronous API is started, its
    event loop counts as running in this thread, and Django would refuse every query here as one
    from asynchronous code, which it is not."""
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        launched: list[Browser] = []

        @cache
        def start(keeps_pages: bool) -> Browser:
            browser = playwright.chromium.launch(
                executable_path=chromium_path(playwright, keeps_pages=keeps_pages),
                args=ARGUMENTS,
                ignore_default_args=[*UNWANTED, *([MEMORY_ON_DISK] if has_shared_memory() else [])],
            )
            launched.append(browser)
            return browser

        expect.set_options(timeout=PATIENCE_MS)
        yield start
        for browser in launched:
            browser.close()


@pytest.fixture
def browser(launch: Launch) -> Browser:
    return launch(False)


@pytest.fixture
def visit(launch: Launch, shelf: list[Product], live_server: LiveServer) -> Iterator[Visit]:
    """`visit(javascript=False, width=360)`: a browser of a shopper's own in front of the shop."""
    visitors: list[Visitor] = []

    def start(
        *,
        javascript: bool = True,
        width: int = 1280,
        locale: str = "en-US",
        keeps_pages: bool = False,
    ) -> Visitor:
        context = launch(keeps_pages).new_context(
            base_url=live_server.url,
            java_script_enabled=javascript,
            locale=locale,
            viewport={"width": width, "height": 900},
        )
        context.set_default_timeout(PATIENCE_MS)
        visitors.append(Visitor(context, shop_url=live_server.url))
        return visitors[-1]

    yield start
    for visitor in visitors:
        visitor.context.close()
    assert [problem for visitor in visitors for problem in visitor.problems] == []
