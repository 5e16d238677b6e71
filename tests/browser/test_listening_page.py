"""The page of `evaluate --html` in a browser: it shows, sorts, filters, plays and switches."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.comparisons import RECORD_SOUNDS, make_comparison
from torchmelinv.corpus import Pair, ScoredPair, compare
from torchmelinv.page import write_page

HOSTILE = "<script>alert(1)</script>"
NAMES = ["speaker/a", "speaker/b", "c & d", HOSTILE, '"><img src=x onerror=alert(1)>', "‮right"]
SECONDS = 3.0
PLAYING = """() => {
    const names = [...document.querySelectorAll('.track')];
    return names.findIndex((track) => track.classList.contains('active'));
}"""
# Switch to the third sound; return the moments at which the first was left and the third is heard.
SWITCH = """async () => {
    const heard = new Promise((resolve) => {
        sounds[2].addEventListener("playing", () => resolve(sounds[2].currentTime), { once: true });
    });
    const left = sounds[0].currentTime;
    document.querySelectorAll(".track input")[2].click();
    return [left, await heard];
}"""


@pytest.fixture(scope="session", params=["file", "folder"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of a page of six items, two systems and their references."""
    folder = tmp_path_factory.mktemp("page")
    comparison = make_comparison(folder, NAMES, seconds=SECONDS)
    path = folder / ("report.html" if request.param == "file" else "report")
    return write_page(comparison, path, title=f"{HOSTILE} & more").as_uri()


@pytest.fixture
def opened(url: str, page: Any) -> Any:
    """Return the page, opened from the disk, whose dialogs and audio elements are recorded."""
    page.on("dialog", lambda dialog: pytest.fail(f"a script of a name ran: {dialog.message}"))
    page.add_init_script(RECORD_SOUNDS)
    page.goto(url)
    page.wait_for_load_state("load")
    return page


def names(page: Any) -> list[str]:
    """Return the names in the table, in its order."""
    return page.locator("#items tbody th").all_text_contents()


def position(page: Any) -> float:
    """Return the moment of the sound that is chosen, in seconds."""
    return page.evaluate("() => Number(document.getElementById('seek').value)")


def sounding(page: Any) -> list[int]:
    """Return the indices of the audio elements that play."""
    return page.evaluate("() => sounds.flatMap((sound, k) => (sound.paused ? [] : [k]))")


def wait_until(page: Any, condition: Callable[[], Any]) -> None:
    """Wait up to 20 seconds; the page's policy forbids Playwright's own way, by `eval`."""
    for _ in range(400):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not in time: {condition}")


def test_it_shows_everything_and_reads_names_as_text(opened: Any) -> None:
    assert opened.title() == f"{HOSTILE} & more" == opened.inner_text("h1")
    assert sorted(names(opened)) == sorted(name.replace("‮", "\\u202e") for name in NAMES)
    assert opened.locator("main script, main img[src=x]").count() == 0
    assert "<b>resampled</b>" in opened.inner_text("#notes")
    means = opened.locator("#summary tbody tr").first.locator("td").all_text_contents()
    assert [mean[:4] for mean in means] == ["3.75", "3.25"]
    assert opened.locator("#plot svg path.dots").count() == 2
    assert "ours 3.75" in opened.get_attribute("#plot svg", "aria-label")
    assert "+0.50" in opened.inner_text("#differences")
    pictures = opened.locator(".picture img")
    assert pictures.count() == 3
    wait_until(opened, lambda: pictures.evaluate_all("all => all.every((i) => i.naturalWidth)"))


def test_worst_come_first_and_the_table_sorts(opened: Any) -> None:
    worst_first = [name.replace("‮", "\\u202e") for name in reversed(NAMES)]
    assert names(opened) == worst_first
    head = opened.locator("#items thead th").nth(1)
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").click()
    assert names(opened) == worst_first[::-1]
    assert head.get_attribute("aria-sort") == "descending"
    opened.select_option("#metric", label="mel error, dB")
    assert names(opened) == worst_first[::-1]  # the best of the other metric: least dB
    opened.select_option("#order", label="by name")
    by_name = opened.evaluate("all => all.sort(new Intl.Collator().compare)", names(opened))
    assert names(opened) == by_name != worst_first
    assert by_name[-2:] == ["speaker/a", "speaker/b"]


def test_the_filter_keeps_what_holds_all_words(opened: Any) -> None:
    opened.fill("#filter", "SPEAKER b")
    assert names(opened) == ["speaker/b"]
    assert opened.inner_text("#count") == "1 of 6 items"
    opened.fill("#filter", "<SCRIPT>")
    assert names(opened) == [HOSTILE]
    opened.fill("#filter", "nothing")
    assert names(opened) == []
    opened.fill("#filter", "")
    assert len(names(opened)) == len(NAMES)


def test_it_plays_and_switches_at_the_same_moment(opened: Any) -> None:
    opened.click("#play")
    wait_until(opened, lambda: position(opened) > 0.2)
    assert sounding(opened) == [0]
    left, entered = opened.evaluate(SWITCH)
    assert abs(entered - left) < 0.05
    wait_until(opened, lambda: sounding(opened) == [2])
    assert opened.evaluate(PLAYING) == 2
    opened.click("#play")
    assert sounding(opened) == []
    assert opened.inner_text("#play") == "Play"


def test_a_click_on_a_spectrogram_seeks(opened: Any) -> None:
    picture = opened.locator(".picture").nth(1)
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] / 2, "y": 10})
    wait_until(opened, lambda: abs(position(opened) - SECONDS / 2) < 0.02)
    assert opened.evaluate(PLAYING) == 1
    assert opened.inner_text("#time") == "1.5 s of 3.0 s"


def test_it_stops_at_the_end_or_loops(opened: Any) -> None:
    opened.evaluate("() => sounds.forEach((sound) => { sound.playbackRate = 4; })")
    opened.evaluate(
        """() => {
            window.ends = 0;
            sounds[0].addEventListener("ended", () => { window.ends += 1; });
        }"""
    )
    opened.keyboard.press(" ")
    wait_until(opened, lambda: opened.evaluate("() => ends") == 1)
    assert opened.inner_text("#play") == "Play"
    opened.keyboard.press("l")
    opened.keyboard.press(" ")
    wait_until(opened, lambda: opened.evaluate("() => ends") >= 3)
    assert opened.inner_text("#play") == "Pause"


def test_keys(opened: Any) -> None:
    opened.keyboard.press("2")
    assert opened.evaluate(PLAYING) == 1
    opened.keyboard.press(" ")
    wait_until(opened, lambda: sounding(opened) == [1])
    opened.keyboard.press("3")
    wait_until(opened, lambda: sounding(opened) == [2])
    opened.keyboard.press(" ")
    assert sounding(opened) == []
    opened.keyboard.press("ArrowLeft")
    wait_until(opened, lambda: position(opened) == 0)
    opened.keyboard.press("ArrowRight")
    wait_until(opened, lambda: position(opened) == 1)
    first = opened.inner_text("#item-name")
    opened.keyboard.press("j")
    second = opened.inner_text("#item-name")
    opened.keyboard.press("k")
    assert opened.inner_text("#item-name") == first != second
    opened.keyboard.press("/")
    opened.keyboard.type("2jk 3")
    assert opened.input_value("#filter") == "2jk 3"
    assert opened.evaluate(PLAYING) == 2
    opened.fill("#filter", "")
    opened.keyboard.press("Enter")
    opened.click("#keys summary")
    opened.uncheck("#shortcuts")
    opened.keyboard.press("1")
    assert opened.evaluate(PLAYING) == 2


def test_a_score_chooses_its_item_and_system(opened: Any) -> None:
    opened.locator("#items tbody tr").nth(2).locator("td").nth(1).click()
    assert opened.inner_text("#item-name") == names(opened)[2]
    assert opened.evaluate(PLAYING) == 2
    assert opened.inner_text("#item-place") == "3 of 6"
    assert opened.locator("#items tr.chosen button").get_attribute("aria-current") == "true"


def test_same_loudness_plays_the_louder_softer(opened: Any) -> None:
    assert opened.evaluate("() => sounds.map((sound) => sound.volume)") == [1, 1, 1]
    opened.check("#level")
    volumes = opened.evaluate("() => sounds.map((sound) => sound.volume)")
    assert volumes == pytest.approx([0.5, 0.5, 1], abs=0.01)


def test_the_keyboard_reaches_everything_in_order(opened: Any) -> None:
    reached = []
    for _ in range(40):
        opened.keyboard.press("Tab")
        reached.append(opened.evaluate("() => document.activeElement.id"))
    order = [name for name in reached if name]
    expected = ["blind-open", "metric", "order", "filter", "next", "play", "seek", "loop", "level"]
    assert [name for name in order if name in expected][: len(expected)] == expected


def test_nothing_is_wider_than_a_phone(url: str, new_page: Callable[..., Any]) -> None:
    page = new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page.goto(url)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    page.locator("#items tbody th button").nth(1).click()  # the player below comes into view

    def shown() -> bool:
        box = page.locator("#tracks").bounding_box()
        return box["y"] > 0 and box["y"] + box["height"] < 844

    wait_until(page, shown)
    background = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", background))) < 64


def test_a_folder_holds_files_that_other_programs_play(tmp_path: Path, page: Any) -> None:
    comparison = make_comparison(tmp_path, [HOSTILE])
    index = write_page(comparison, tmp_path / "report")
    files = sorted(path.name for path in (tmp_path / "report" / "audio").iterdir())
    assert files[1] == "1-1_script-alert-1-script_ours.flac"
    page.goto(index.as_uri())
    page.click("#play")
    wait_until(page, lambda: position(page) > 0.05)


def test_without_any_score_there_is_still_sound(tmp_path: Path, page: Any) -> None:
    made = make_comparison(tmp_path, ["a"])
    pairs = {
        system: [ScoredPair(Pair("a", path, made.items[0].reference), error="too short")]
        for system, path in made.items[0].generated.items()
    }
    page.goto(write_page(compare(pairs), tmp_path / "report.html").as_uri())
    assert "ours: too short" in page.inner_text("#notes")
    assert page.locator("#summary").is_hidden()
    assert page.locator(".track").count() == 3
    page.click("#play")
    wait_until(page, lambda: position(page) > 0)
