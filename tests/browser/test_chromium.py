"""The browser that the other tests use runs, and its fixture sees what goes wrong."""

from __future__ import annotations

from typing import Any

import pytest


def test_it_runs_scripts_and_plays_sound(page: Any) -> None:
    page.set_content("<h1>mel</h1>")
    assert page.evaluate("document.querySelector('h1').textContent") == "mel"
    seconds = page.evaluate(
        """async () => {
            const context = new AudioContext();
            await context.resume();
            await new Promise((resolve) => setTimeout(resolve, 200));
            return context.currentTime;
        }"""
    )
    assert seconds > 0.05


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("console.error('broken')", "error: broken"),
        ("setTimeout(() => { throw new Error('thrown') })", "exception: thrown"),
        ("fetch('https://example.invalid/').catch(() => 0)", "request: https://example.invalid/"),
    ],
)
def test_the_fixture_sees_problems(browser: Any, script: str, problem: str) -> None:
    from tests.browser.conftest import new_page

    opened = new_page.__wrapped__(browser)
    page = next(opened)()
    page.evaluate(f"() => {{ {script} }}")
    page.wait_for_timeout(100)
    with pytest.raises(AssertionError, match=problem.replace("?", r"\?")):
        next(opened)
