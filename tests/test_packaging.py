"""The wheel holds the package alone, all files state one version, and the citation is valid."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

import torchmelinv
from tests.shared import ROOT, pyproject

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


def test_conda_recipe_has_the_dependencies_of_the_package() -> None:
    text = (ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    recipe = yaml.safe_load(text)
    project = pyproject()["project"]
    assert recipe["context"]["version"] == torchmelinv.__version__
    assert f">={recipe['context']['python_min']}" == project["requires-python"]
    names = {"pytorch": "torch", "pysoundfile": "soundfile", "soxr-python": "soxr"}
    conda = [each.split(" ") for each in recipe["requirements"]["run"][1:]]
    assert {f"{names.get(name, name)}{bound}" for name, bound in conda} == set(
        project["dependencies"]
    )
    scripts = [f"{name} = {function}" for name, function in project["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == scripts


def test_a_tag_publishes_the_version_of_the_package_alone() -> None:
    release = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert 'make dist TAG="$GITHUB_REF_NAME"' in release
    if shutil.which("make"):
        command = ["make", "--dry-run", "dist", "TAG=v0.0.0"]
        plan = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        assert 'test "v0.0.0" = "v$(' in plan.stdout


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
        if path.suffix in {".py", ".typed", ".html", ".css", ".js"}
    }
    assert "torchmelinv/py.typed" in sources <= names
    info = f"torchmelinv-{torchmelinv.__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"torchmelinv", info}


class Environment:
    """A virtual environment without the packages of this one.

    Args:
        folder: Where it is made.
    """

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "environment", with_pip=True)
        self.python = str(next((folder / "environment").glob("*/python")))
        self.folder = folder

    def run(self, *arguments: str) -> str:
        """Run its Python and return what that prints."""
        hidden = {"PYTHONPATH", "PIP_CONSTRAINT"}
        process = subprocess.run(
            [self.python, *arguments],
            cwd=self.folder,
            env={name: value for name, value in os.environ.items() if name not in hidden},
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout

    def install(self, *arguments: str) -> None:
        """Install packages."""
        self.run("-m", "pip", "install", "--quiet", *arguments)

    def would_install(self, package: str) -> set[str]:
        """Return the packages that pip would install or replace for a package."""
        self.install("--dry-run", "--report", "report.json", package)
        report = json.loads((self.folder / "report.json").read_text(encoding="utf-8"))
        return {item["metadata"]["name"].lower() for item in report["install"]}


# Inversion, gradients and a stream, as a user's program would call them. Warnings are errors.
PROGRAM = """
import torch, torchmelinv as tmi
from torchmelinv.io.audio import write_audio
from torchmelinv.synthetic_voice import signal
voice = signal(1.0)
mel = tmi.MelSpectrogram("hifigan_22k")(voice).requires_grad_()
waveform = tmi.MelInverter("hifigan_22k", n_iter=8)(mel)
waveform.square().mean().backward()
assert waveform.isfinite().all() and mel.grad.isfinite().all() and mel.grad.any()
stream = tmi.StreamingInverter("hifigan_22k")
assert torch.cat([stream.push(mel.detach()), stream.flush()], -1).isfinite().all()
write_audio("voice.wav", voice, 22050)
print(torch.__version__, tmi.__file__)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "constraints", [["-c", str(ROOT / "constraints-lowest.txt")], []], ids=["lowest", "newest"]
)
def test_wheel_works_beside_a_torch_that_stays_as_it_is(
    tmp_path: Path, constraints: list[str]
) -> None:
    environment, wheel = Environment(tmp_path), str(build_wheel(tmp_path))
    environment.install("torch", "numpy", *constraints)
    before = environment.run("-c", "import torch; print(torch.__version__)").strip()
    others = {"torchmelinv", "soundfile", "soxr", "tqdm", "cffi", "pycparser"}
    assert "torchmelinv" in environment.would_install(wheel) <= others
    environment.install(wheel, *constraints)
    version, file = environment.run("-W", "error", "-c", PROGRAM).split()
    assert version == before
    assert Path(file).is_relative_to(tmp_path)
    assert "hifigan_22k" in environment.run("-m", "torchmelinv", "presets")
    roundtrip = ["roundtrip", "voice.wav", "--convention", "hifigan_22k", "-o", "back.wav"]
    assert "mel error" in environment.run("-W", "error", "-m", "torchmelinv", *roundtrip)
    assert (tmp_path / "back.wav").stat().st_size > 1000
    environment.run(str(ROOT / "tests" / "blocks.py"), str(ROOT / "README.md"))


@pytest.mark.slow
def test_a_release_can_be_uploaded(tmp_path: Path) -> None:
    """The wheel is built from the sdist, and PyPI shows the README."""
    build = ["build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run([sys.executable, "-m", *build], check=True, capture_output=True)
    files = sorted(map(str, tmp_path.iterdir()))
    assert [Path(file).suffix for file in files] == [".whl", ".gz"]
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], check=True)
    with tarfile.open(files[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"README.md", "LICENSE", "docs/conf.py", "tests/test_packaging.py"} <= names


def test_the_lowest_versions_are_those_of_the_package() -> None:
    bounds = [line.split(">=") for line in pyproject()["project"]["dependencies"]]
    lines = (ROOT / "constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    assert {f"{name}=={version}.*" for name, version in bounds} <= {
        line.partition(";")[0] for line in lines
    }
    assert not {name for name, _ in bounds} & {"torchaudio", "torchvision"}
