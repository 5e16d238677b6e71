"""A real browser for the pages that the package writes: headless Chromium, run by Playwright.

`make browser` sets TORCHMELINV_CHROMIUM, and then a missing browser is an error. Without that
variable the tests look for an installed Chromium, and are skipped where there is none.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
# Root may not use the sandbox; machines without a sound device still play to a null device.
ARGUMENTS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
LOCAL = ("file:", "data:", "blob:", "http://127.0.0.1:", "http://localhost:")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if FOLDER in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Return a running Chromium, a Playwright `Browser`."""
    requested = os.environ.get("TORCHMELINV_CHROMIUM")
    path = requested or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium; `make browser` installs it where it can")
    if requested is None:
        pytest.importorskip("playwright", reason="`make browser` installs Playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def new_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Return a function that opens an empty Playwright `Page`; its options are the context's.

    After the test, no page may have had an error on its console, an exception, or a request to
    anything but files, data and this machine.
    """
    contexts, problems = [], []

    def open_page(**options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()

        def console(message: Any) -> None:
            if message.type in ("error", "warning"):
                problems.append(f"{message.type}: {message.text}")

        def request(request: Any) -> None:
            if not request.url.startswith(LOCAL):
                problems.append(f"request: {request.url}")

        page.on("console", console)
        page.on("pageerror", lambda error: problems.append(f"exception: {error}"))
        page.on("request", request)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def page(new_page: Callable[..., Any]) -> Any:
    """Return an empty Playwright `Page` of 1280 × 800 pixels."""
    return new_page()
