"""What README.md shows, runs: its Python blocks in one namespace and its `torchmelinv ...` lines, in the order of the page."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu_table import NOTHING
from tests.shared import ROOT
from torchmelinv import cli

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_console(block: str) -> None:
    """Run each line that starts with `torchmelinv`, as the installed command would; the others are for other programs."""
    for line in block.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["torchmelinv"]:
            assert cli.main(words[1:]) == 0, line


def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "readme"}
    ran = {"python": 0, "console": 0}
    for found in BLOCK.finditer(README):
        language, block = found.groups()
        if language == "python":
            line = README[: found.start(2)].count("\n")  # so that a traceback names the README's own line
            exec(compile("\n" * line + block, str(ROOT / "README.md"), "exec"), namespace)
        elif language == "console":
            run_console(block)
        if language in ran:
            ran[language] += 1
    assert min(ran.values()) > 0, ran


def test_first_inversion_takes_ten_lines():
    first = next(block for language, block in BLOCK.findall(README) if language == "python")
    assert len(first.splitlines()) <= 10


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files_that_exist(page: str):
    targets = re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_results_stand_between_markers():
    tables = re.findall(r"<!-- results:\w+ -->.*?<!-- /results -->", README, re.DOTALL)
    assert all(len(table.splitlines()) > 3 or NOTHING in table for table in tables)
    assert len(tables) == README.count("<!-- /results -->") > 0
