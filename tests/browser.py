"""A real browser for tests of pages: Playwright's Chromium or one of this machine; without one, they are skipped."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync")  # fmt: skip


@contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """A browser that is started with these arguments, too."""
    api = pytest.importorskip("playwright.sync_api", reason="the tests of pages need playwright")
    with api.sync_playwright() as playwright:
        candidates = (playwright.chromium.executable_path, *map(shutil.which, NAMES))
        found = next((one for one in candidates if one and Path(one).exists()), None)
        if found is None:
            pytest.skip("the tests of pages need Chromium: python -m playwright install chromium")
        browser = playwright.chromium.launch(executable_path=found, args=[*QUIET, *arguments])
        yield browser
        browser.close()
