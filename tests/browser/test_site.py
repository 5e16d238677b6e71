"""The site that `make docs` builds: search, sounds and widths, in Chromium."""

from __future__ import annotations

import functools
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.shared import ROOT

SITE = ROOT / "docs" / "_build" / "html"
pytestmark = pytest.mark.skipif(
    not (SITE / "search.html").exists(), reason="`make docs` builds the site"
)
# Pages of each kind; the first links of the others are alike.
PAGES = (
    "index.html",
    "listen.html",
    "choosing.html",
    "theory.html",
    "guide/training.html",
    "benchmarks/quality.html",
    "notebooks.html",
    "notebooks/1_first_inversion.html",
    "reference/torchmelinv.metrics.html",
    "reference/api/torchmelinv.MelInverter.html",
)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Serve the site, as its search fetches pages, and return its address."""
    handler = functools.partial(_Quiet, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Griffin-Lim", "theory"),
        ("InverseMelScale", "torchmelinv.compat.torchaudio.InverseMelScale"),
        ("mel to audio", "getting_started"),
        ("vocoder-free", "index"),
    ],
)
def test_a_search_finds_the_right_page(query: str, expected: str, page: Any, address: str) -> None:
    page.set_default_timeout(60_000)  # the search loads its index first
    page.goto(f"{address}/search.html?q={query.replace(' ', '+')}")
    results = page.locator("#search-results ul.search li a")
    results.first.wait_for()
    page.wait_for_function("document.querySelector('#search-results .search-summary') !== null")
    link = results.first.get_attribute("href")
    assert Path(re.split("[?#]", link)[0]).stem == expected


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_fits_the_width_in_both_schemes(
    path: str, width: int, new_page: Callable[..., Any]
) -> None:
    """Wide tables and formulas scroll in their own box, and text differs from its background."""
    for scheme in ("light", "dark"):
        page = new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.goto(f"{SITE.as_uri()}/{path}")  # also without a server
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        colors = "(name) => getComputedStyle(document.querySelector('article p'))[name]"
        text = page.evaluate(f"({colors})('color')")
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert text != background


def test_every_sound_plays(page: Any) -> None:
    page.goto(f"{SITE.as_uri()}/listen.html")
    durations = page.evaluate(
        """async () => Promise.all([...document.querySelectorAll('audio')].map(
            (audio) => new Promise((resolve, reject) => {
                audio.onloadedmetadata = () => resolve(audio.duration);
                audio.onerror = () => reject(new Error(audio.src));
                audio.preload = 'metadata';
                audio.load();
            })))"""
    )
    assert len(durations) >= 10
    assert min(durations) > 2
