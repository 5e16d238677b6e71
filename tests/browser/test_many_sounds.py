"""A page of 200 items and 4 systems opens and answers at once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.browser.comparisons import make_comparison
from tests.browser.test_listening_page import wait_until
from torchmelinv.page import write_page

# Measured: 0.6 s to the table and 1.2 s to all of 58 MB (clips of 5 s), 0.2 s in a folder.
MAX_SECONDS = 2.0


@pytest.mark.parametrize("name", ["report.html", "report"])
def test_800_sounds_open_at_once(name: str, tmp_path: Path, page: Any) -> None:
    names = [f"speaker{index % 5}/utterance_{index:04d}" for index in range(200)]
    comparison = make_comparison(tmp_path, names, ("a", "b", "c", "d"))
    url = write_page(comparison, tmp_path / name).as_uri()
    times = []
    for _ in range(3):  # the least, because other programs run beside the test
        start = time.perf_counter()
        page.goto(url)
        page.wait_for_selector("#items tbody tr")
        times.append(time.perf_counter() - start)
    start = time.perf_counter()
    page.select_option("#order", label="d: best first")
    assert page.inner_text("#items tbody tr:first-child th") == names[0]
    page.fill("#filter", "0042")
    assert page.locator("#items tbody tr").count() == 1
    answered = time.perf_counter() - start
    assert min(times) < MAX_SECONDS
    assert answered < MAX_SECONDS
    page.fill("#filter", "")
    assert page.locator("#items tbody tr").count() == 100
    page.click("#more")
    assert page.locator("#items tbody tr").count() == 200
    page.click("#play")
    wait_until(page, lambda: page.evaluate("() => document.getElementById('seek').value > 0"))
