"""The floor plan holds: imports go down, every module has a floor, files stay small, tests mirror the package."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import importlinter.cli
import pytest

from tests.shared import ROOT

MODULES = sorted((ROOT / "torchmelinv").rglob("*.py"))
LONGEST = 300  # lines; a longer file is two concepts
UNMIRRORED = {"errors.py"}  # nothing to run in there


def name(module: Path) -> str:
    """A module's path within the package."""
    return module.relative_to(ROOT / "torchmelinv").as_posix()


def test_imports_keep_to_their_floor(capsys: pytest.CaptureFixture[str]):
    status = importlinter.cli.lint_imports(str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)
    assert status == 0, capsys.readouterr().out


def test_the_written_plan_is_the_one_that_is_held():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    held = [set(re.findall(r"\w+", floor)) for floor in next(each for each in contracts if each["id"] == "floors")["layers"]]
    section = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## The floor plan")[1].split("\n## ")[0]
    written = re.findall(r"^    (\S+(?: ?[|,]? \S+)*)", section, re.MULTILINE)
    assert [set(re.findall(r"\w+", floor)) for floor in written] == held


def test_files_are_one_concept():
    lengths = {name(module): len(module.read_text(encoding="utf-8").splitlines()) for module in MODULES}
    assert {module: length for module, length in lengths.items() if length > LONGEST} == {}


def test_tests_mirror_the_package():
    mirrors = {name(module): ROOT / "tests" / name(module.with_name(f"test_{module.name}")) for module in MODULES}
    missing = {module for module, mirror in mirrors.items() if not mirror.exists() and "__" not in module}
    assert missing == UNMIRRORED
