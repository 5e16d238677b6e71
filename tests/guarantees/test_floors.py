"""The floor plan holds: imports go down, every module has a floor, files stay small, tests mirror the package."""

from __future__ import annotations

import importlinter.cli
import pytest

from tests.shared import ROOT

MODULES = sorted((ROOT / "torchmelinv").rglob("*.py"))
LONGEST = 300  # lines; a longer file is two concepts


def test_imports_keep_to_their_floor(capsys: pytest.CaptureFixture[str]):
    status = importlinter.cli.lint_imports(str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)
    assert status == 0, capsys.readouterr().out


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_one_concept(module):
    assert len(module.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize(
    "module", [path for path in MODULES if not path.name.startswith("_")], ids=lambda path: str(path.relative_to(ROOT))
)
def test_tests_mirror_the_package(module):
    folder = ROOT / "tests" / module.parent.relative_to(ROOT / "torchmelinv")
    guarded = ROOT / "tests" / "guarantees" / f"test_{module.stem}.py"
    assert (folder / f"test_{module.stem}.py").exists() or guarded.exists()
