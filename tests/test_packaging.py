"""What is shipped, and that the places which name the version agree."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

import torchmelinv
from tests.shared import ROOT

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
# the Citation File Format's schema, version 1.2.0
CITATION_REQUIRED = {"cff-version", "message", "title", "authors"}
CITATION_KEYS = CITATION_REQUIRED | {
    *("abstract", "commit", "contact", "date-released", "doi", "identifiers", "keywords", "license", "license-url"),
    *("preferred-citation", "references", "repository", "repository-artifact", "repository-code", "type", "url", "version"),
}


def test_versions_agree():
    assert torchmelinv.__version__ == CITATION["version"] == importlib.metadata.version("torchmelinv")


def test_changelog_has_this_version():
    sections = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")
    assert sections[1].startswith(f"{torchmelinv.__version__} ({CITATION['date-released']})")
    assert all("### Numbers changed" in section for section in sections[1:])


def test_citation_is_valid():
    assert CITATION_REQUIRED <= set(CITATION) <= CITATION_KEYS
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] == "software"
    assert CITATION["license"] == importlib.metadata.metadata("torchmelinv")["License-Expression"] == "MIT"
    assert isinstance(CITATION["version"], str)
    assert isinstance(CITATION["date-released"], datetime.date)
    assert all({"name"} == set(author) or "family-names" in author for author in CITATION["authors"])


@pytest.mark.parametrize("reference", CITATION["references"], ids=lambda reference: reference["title"])
def test_references_can_be_found(reference):
    assert {"type", "title", "authors", "year", "notes"} <= set(reference)
    assert all({"given-names", "family-names"} == set(author) for author in reference["authors"])
    if reference["type"] == "conference-paper" and "doi" not in reference:  # proceedings without identifiers
        assert {"collection-title", "start", "end"} <= set(reference)
    else:
        assert re.fullmatch(r"10\.\d{4,}/\S+", reference["doi"])


def build_wheel(folder: Path) -> Path:
    """A wheel of this checkout, made without the network."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True, stdin=subprocess.DEVNULL)
    (wheel,) = folder.glob("torchmelinv-*.whl")
    return wheel


def test_wheel_ships_the_package_and_nothing_else(tmp_path):
    with zipfile.ZipFile(build_wheel(tmp_path)) as wheel:
        names = set(wheel.namelist())
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / "torchmelinv").rglob("*") if path.suffix in {".py", ".typed"}}
    assert "torchmelinv/py.typed" in sources <= names
    assert {name.split("/")[0] for name in names} == {"torchmelinv", f"torchmelinv-{torchmelinv.__version__}.dist-info"}


@pytest.mark.slow
def test_wheel_works_in_an_empty_environment_with_the_newest_torch_and_no_torchaudio(tmp_path):
    wheel = build_wheel(tmp_path)
    venv.create(tmp_path / "empty", with_pip=True)
    python = str(next((tmp_path / "empty").glob("*/python")))
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PIP_CONSTRAINT"}}

    def run(*arguments: str) -> str:
        finished = subprocess.run([python, *arguments], cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout

    run("-m", "pip", "install", "--quiet", "torch", "numpy", "soundfile", "soxr", "tqdm")
    run("-m", "pip", "install", "--quiet", "--no-deps", str(wheel))
    run("-c", "from torchmelinv import demo, files; files.write_audio('voice.wav', demo.signal(1.0), 22050)")
    assert str(tmp_path) in run("-c", "import torchmelinv; print(torchmelinv.__file__)")
    assert "hifigan_22k" in run("-m", "torchmelinv", "presets")
    assert "mel error" in run("-m", "torchmelinv", "roundtrip", "voice.wav", "--convention", "hifigan_22k", "-o", "back.wav")
    assert (tmp_path / "back.wav").stat().st_size > 1000
