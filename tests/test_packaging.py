"""The wheel holds the package alone, all files state one version, and the citation is valid."""

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
from typing import Any

import pytest
import yaml

import torchmelinv
from tests.shared import ROOT

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
# The schema of the Citation File Format, version 1.2.0.
CITATION_REQUIRED = {"cff-version", "message", "title", "authors"}
# fmt: off
CITATION_OPTIONAL = {
    "abstract", "commit", "contact", "date-released", "doi", "identifiers", "keywords", "license",
    "license-url", "preferred-citation", "references", "repository", "repository-artifact",
    "repository-code", "type", "url", "version",
}
# fmt: on


def test_versions_agree() -> None:
    version = torchmelinv.__version__
    assert version == CITATION["version"] == importlib.metadata.version("torchmelinv")


def test_changelog_has_this_version() -> None:
    sections = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")
    assert sections[1].startswith(f"{torchmelinv.__version__} ({CITATION['date-released']})")
    assert all("### Numbers changed" in section for section in sections[1:])


def test_citation_is_valid() -> None:
    assert CITATION_REQUIRED <= set(CITATION) <= CITATION_REQUIRED | CITATION_OPTIONAL
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] == "software"
    package_license = importlib.metadata.metadata("torchmelinv")["License-Expression"]
    assert CITATION["license"] == package_license == "MIT"
    assert isinstance(CITATION["version"], str)
    assert isinstance(CITATION["date-released"], datetime.date)
    for author in CITATION["authors"]:
        assert set(author) == {"name"} or "family-names" in author


@pytest.mark.parametrize(
    "reference", CITATION["references"], ids=lambda reference: reference["title"]
)
def test_references_can_be_found(reference: dict[str, Any]) -> None:
    assert {"type", "title", "authors", "year", "notes"} <= set(reference)
    assert all(set(author) == {"given-names", "family-names"} for author in reference["authors"])
    if reference["type"] == "conference-paper" and "doi" not in reference:
        # Proceedings without identifiers.
        assert {"collection-title", "start", "end"} <= set(reference)
    else:
        assert re.fullmatch(r"10\.\d{4,}/\S+", reference["doi"])


def build_wheel(folder: Path) -> Path:
    """Build a wheel of this checkout without the network."""
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(ROOT)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    (wheel,) = folder.glob("torchmelinv-*.whl")
    return wheel


def test_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(build_wheel(tmp_path)) as wheel:
        names = set(wheel.namelist())
    sources = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "torchmelinv").rglob("*")
        if path.suffix in {".py", ".typed"}
    }
    assert "torchmelinv/py.typed" in sources <= names
    info = f"torchmelinv-{torchmelinv.__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"torchmelinv", info}


@pytest.mark.slow
def test_wheel_works_in_an_empty_environment_with_the_newest_torch_and_no_torchaudio(
    tmp_path: Path,
) -> None:
    wheel = build_wheel(tmp_path)
    venv.create(tmp_path / "empty", with_pip=True)
    python = str(next((tmp_path / "empty").glob("*/python")))
    hidden = {"PYTHONPATH", "PIP_CONSTRAINT"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}

    def run(*arguments: str) -> str:
        process = subprocess.run(
            [python, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout

    run("-m", "pip", "install", "--quiet", "torch", "numpy", "soundfile", "soxr", "tqdm")
    run("-m", "pip", "install", "--quiet", "--no-deps", str(wheel))
    imports = "from torchmelinv.demo import signal; from torchmelinv.io.audio import write_audio"
    run("-c", f"{imports}; write_audio('voice.wav', signal(1.0), 22050)")
    assert str(tmp_path) in run("-c", "import torchmelinv; print(torchmelinv.__file__)")
    assert "hifigan_22k" in run("-m", "torchmelinv", "presets")
    roundtrip = ["roundtrip", "voice.wav", "--convention", "hifigan_22k", "-o", "back.wav"]
    assert "mel error" in run("-m", "torchmelinv", *roundtrip)
    assert (tmp_path / "back.wav").stat().st_size > 1000
