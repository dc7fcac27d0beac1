"""One browser for the tests of the pages."""

import shutil

import pytest


@pytest.fixture(scope="session")
def chromium():
    """One headless Chromium for all tests of a process; that there is none is a failure, not a reason to skip."""
    from playwright.sync_api import sync_playwright
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert program, "Chromium is not installed; the pages cannot be tested without it"
    quiet = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=list(quiet))
        yield browser
        browser.close()
