"""Writing a page: one file or a folder, which codec, and what is refused before any work."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser.comparisons import make_comparison
from torchmelinv.errors import FileError, InputError
from torchmelinv.page import check_page, write_page, writing


def content(page: Path) -> dict[str, Any]:
    """Return what a page's script reads."""
    text = page.read_text(encoding="utf-8")
    (data,) = re.findall(r'id="data">(.*?)</script>', text)
    return json.loads(data)


def test_one_file_holds_all_sounds(tmp_path: Path) -> None:
    calls: list[None] = []
    comparison = make_comparison(tmp_path, ["a", "b"], seconds=0.1)
    page = write_page(comparison, tmp_path / "new/report.html", progress=lambda: calls.append(None))
    assert [path.name for path in page.parent.iterdir()] == ["report.html"]
    assert len(calls) == 2
    clips = content(page)["items"][1]["clips"]
    text = page.read_text(encoding="utf-8")
    for clip in clips:
        for kind, signature in (("audio", b"fLaC"), ("picture", b"\x89PNG")):
            (block,) = re.findall(f'id="{clip[kind][1:]}">([^<]*)<', text)
            assert base64.b64decode(block).startswith(signature)
    assert clips[1]["loudness"] - clips[2]["loudness"] == pytest.approx(6.02, abs=0.05)


def test_a_folder_holds_files_beside_the_page(tmp_path: Path) -> None:
    comparison = make_comparison(tmp_path, ["a/../b", "a b"], seconds=0.1)
    for _ in range(2):  # the second time, over the first
        page = write_page(comparison, tmp_path / "report")
    items = content(page)["items"]
    named = {
        clip[kind] for item in items for clip in item["clips"] for kind in ("audio", "picture")
    }
    files = {str(path.relative_to(page.parent)) for path in page.parent.rglob("*.*")}
    assert page.name == "index.html"
    assert named == files - {"index.html"}
    assert len(named) == 12
    assert all(re.fullmatch(r"(audio|pictures)/\d+-\d_[A-Za-z0-9_-]+\.\w+", name) for name in named)


def test_large_sounds_are_vorbis_in_a_file_and_flac_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison = make_comparison(tmp_path, ["a"], seconds=0.1)
    assert content(write_page(comparison, tmp_path / "a.html"))["audioType"] == "audio/flac"
    monkeypatch.setattr(writing, "MAX_LOSSLESS", 5000)
    small = content(write_page(comparison, tmp_path / "b.html"))
    assert small["audioType"] == "audio/ogg"
    assert "lossy" in small["about"]
    assert content(write_page(comparison, tmp_path / "c"))["audioType"] == "audio/flac"


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "report.txt").write_text("mine")
    (tmp_path / "old.html").mkdir()
    comparison = make_comparison(tmp_path, ["a"], seconds=0.1)
    with pytest.raises(InputError, match=r"report\.txt is a file; the page must be a file that"):
        check_page(tmp_path / "report.txt")
    with pytest.raises(FileError, match="cannot be written"):
        write_page(comparison, tmp_path / "report.txt/a.html")
    assert write_page(comparison, tmp_path / "old.html") == tmp_path / "old.html/index.html"
    assert (tmp_path / "report.txt").read_text() == "mine"


def test_no_items_and_no_references(tmp_path: Path) -> None:
    comparison = make_comparison(tmp_path, [], reference=False, seconds=0.1)
    assert content(write_page(comparison, tmp_path / "a.html"))["items"] == []
    comparison = make_comparison(tmp_path, ["a"], reference=False, seconds=0.1)
    page = write_page(comparison, tmp_path / "a.html", title="<Title>\n")
    assert len(content(page)["items"][0]["clips"]) == 2
    assert "<h1>&lt;Title&gt;\\n</h1>" in page.read_text(encoding="utf-8")
