"""A real browser for pages: Debian's Chromium, driven by Playwright. Tests are skipped where there is none."""

import os
import shutil
import warnings
from contextlib import contextmanager
from importlib.resources import files

import pytest


@pytest.fixture(scope="module")
def chromium(request):
    """A running Chromium, one for each file of tests."""
    if request.config.option.quick:
        pytest.skip("not quick: a browser")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        assert "ELSEWISE_BROWSER" not in os.environ, "continuous integration installs Chromium"
        pytest.skip("no Chromium: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install playwright")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with playwright.sync_playwright() as started:
            settings = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
            browser = started.chromium.launch(executable_path=found, args=settings)
            yield browser
            browser.close()


@contextmanager
def opened(browser, place, **context):
    """Open a page that asks for nothing, or its own server alone, and whose script says nothing of errors.

    `place` is a file, or the address of a server's page.
    """
    address = place if isinstance(place, str) else place.as_uri()
    own = ("data:", "file:") if address.startswith("file:") else ("data:", "/".join(address.split("/")[:3]) + "/")
    window = browser.new_context(**context)
    heard = []
    tab = window.new_page()
    tab.on("request", lambda asked: heard.append(asked.url) if not asked.url.startswith(own) else None)
    tab.on("console", lambda said: heard.append(said.text))
    tab.on("pageerror", lambda error: heard.append(str(error)))
    tab.goto(address)
    yield tab
    assert heard == []
    window.close()


def axe():
    """The source of axe-core."""
    package = pytest.importorskip("axe_playwright_python", reason="no axe: pip install axe-playwright-python")
    return (files(package) / "axe.min.js").read_text(encoding="utf-8")
