"""Pictures that tests take of the pages on their way, for whoever wants to look at them."""

import os
from pathlib import Path

from playwright.sync_api import Page

FOLDER = os.environ.get("PICTURES_OF_WAYS_TO_PAY")


def picture(page: Page, name: str) -> None:
    if FOLDER:
        page.screenshot(path=Path(FOLDER) / f"{name}.png", full_page=True)
