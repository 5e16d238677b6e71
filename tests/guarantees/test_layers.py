"""Imports go downwards, every module has a layer, files stay short, tests mirror the package."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import importlinter.cli
import pytest

from tests.shared import ROOT, pyproject

MODULES = sorted((ROOT / "torchmelinv").rglob("*.py"))
MAX_CODE_LINES = 300  # a longer file holds two concepts
TABLES = {"conventions/preset_table.py"}  # data, of any length
NOT_MIRRORED = {"errors.py"}  # classes without behavior


def name(module: Path) -> str:
    """Return a module's path within the package."""
    return module.relative_to(ROOT / "torchmelinv").as_posix()


def layers() -> list[set[str]]:
    """Return the modules of each layer in pyproject.toml, top first."""
    contracts = pyproject()["tool"]["importlinter"]["contracts"]
    rows = next(contract["layers"] for contract in contracts if contract["id"] == "layers")
    return [set(re.findall(r"\w+", row)) for row in rows]


def code_lines(module: Path) -> int:
    """Count the lines that are not empty, no comment and no docstring."""
    text = module.read_text(encoding="utf-8")
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docstrings.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    code = [
        line.strip() for number, line in enumerate(text.splitlines(), 1) if number not in docstrings
    ]
    return sum(bool(line) and not line.startswith("#") for line in code)


def has_tests(module: Path) -> bool:
    """Return whether a module has a test file of its name; private modules need none."""
    tests = ROOT / "tests" / name(module.with_name(f"test_{module.name}"))
    return module.stem.startswith("_") or tests.exists()


def test_imports_go_downwards(capsys: pytest.CaptureFixture[str]):
    settings = str(ROOT / "pyproject.toml")
    status = importlinter.cli.lint_imports(settings, no_cache=True, no_logo=True)
    assert status == 0, capsys.readouterr().out


def test_contributing_describes_the_layers():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.split("## Layers")[1].split("\n## ")[0]
    rows = re.findall(r"^    (\S.*?)(?:  |$)", section, re.MULTILINE)
    assert [set(re.findall(r"\w+", row)) for row in rows] == layers()


def test_files_hold_one_concept():
    lengths = {name(module): code_lines(module) for module in MODULES if name(module) not in TABLES}
    assert {module: n for module, n in lengths.items() if n > MAX_CODE_LINES} == {}


def test_tests_mirror_the_package():
    missing = {name(module) for module in MODULES if not has_tests(module)}
    assert missing == NOT_MIRRORED
