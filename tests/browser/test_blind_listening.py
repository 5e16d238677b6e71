"""The blind test of the listening page, from the first question to the binomial test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.comparisons import RECORD_SOUNDS, make_comparison
from tests.browser.test_listening_page import wait_until
from torchmelinv.page import write_page

scipy_stats = pytest.importorskip("scipy.stats")
N_ITEMS = 12


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("blind")
    names = [f"item {index}" for index in range(N_ITEMS)]
    return write_page(make_comparison(folder, names), folder / "report.html").as_uri()


def start(page: Any, url: str, count: int) -> None:
    """Open the page and begin a test of two systems."""
    page.goto(url)
    page.click("#blind-open")
    page.fill("#blind-count", str(count))
    page.click("#blind-start")


def listen(page: Any) -> list[float]:
    """Listen to A and B; return the volumes of both, of which the louder file has less."""
    page.keyboard.press("1")
    wait_until(page, lambda: page.inner_text("#blind-play") == "Pause")
    page.keyboard.press("2")
    wait_until(page, lambda: page.locator("[data-answer='0']").is_enabled())
    return page.evaluate("() => sounds.filter((s) => s.src).slice(-3).map((s) => s.volume)")


def test_a_test_to_its_tally(url: str, page: Any) -> None:
    page.add_init_script(RECORD_SOUNDS)
    start(page, url, 99)  # as many as there are
    assert page.inner_text("#blind-ask") == "Which is closer to the reference?"
    first_is_louder = []
    for trial in range(N_ITEMS):
        assert page.inner_text("#blind-title") == f"Comparison {trial + 1} of {N_ITEMS}"
        shown = page.inner_text("#blind")
        assert "ours" not in shown
        assert "item" not in shown
        assert page.locator("[data-answer='0']").is_disabled()
        page.keyboard.press("ArrowLeft")  # too early: not both were heard
        volumes = listen(page)
        first_is_louder.append(volumes[0] < volumes[1])
        if trial == 0:
            page.keyboard.press("ArrowDown")
        elif trial < 3:  # against the louder file, which is ours
            page.keyboard.press("ArrowRight" if first_is_louder[-1] else "ArrowLeft")
        else:
            page.keyboard.press("ArrowLeft" if first_is_louder[-1] else "ArrowRight")
    assert page.inner_text("#blind-title") == "Result"
    assert page.inner_text("#blind-verdict") == "ours 9, baseline 2, no difference 1"
    result = scipy_stats.binomtest(9, 11)
    interval = result.proportion_ci(method="exact")
    text = page.inner_text("#blind-test")
    assert f"p = {result.pvalue:.3f}" in text
    assert f"interval {100 * interval.low:.0f}\u00a0% to {100 * interval.high:.0f}\u00a0%" in text
    assert page.locator("#blind-answers tbody tr").count() == N_ITEMS
    assert len(set(first_is_louder)) == 2, "one order for all 12 items: chance is 1 in 2048"
    with page.expect_download() as download:
        page.click("#blind-save")
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[0] == '"item","a","b","preferred"'
    assert sum(line.endswith('"ours"') for line in lines) == 9


def test_stopping_shows_what_was_answered(url: str, page: Any) -> None:
    start(page, url, 5)
    page.click("#blind-stop")
    assert page.inner_text("#blind-test") == "No comparison was decided."
    page.click("#blind-again")
    page.uncheck("#blind-reference")
    page.click("#blind-start")
    assert page.inner_text("#blind-ask") == "Which sounds better?"
    assert page.locator("[data-sound='2']").is_hidden()
    page.keyboard.press("Escape")
    assert page.locator("#blind").is_hidden()


def test_settings_that_do_not_fit(url: str, page: Any) -> None:
    page.goto(url)
    page.click("#blind-open")
    page.select_option("#blind-second", label="ours")
    assert page.inner_text("#blind-problem") == "Choose two different systems."
    assert page.locator("#blind-start").is_disabled()
    page.select_option("#blind-second", label="reference")
    assert page.locator("#blind-question").is_hidden()
    page.click("#blind-start")
    assert page.inner_text("#blind-title") == "Comparison 1 of 10"
