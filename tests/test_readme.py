"""The README's Python blocks and `torchmelinv` commands run, in the order of the page."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu_table import NO_RESULTS
from tests.shared import ROOT
from torchmelinv.cli import main as cli

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_console(block: str) -> None:
    """Run each line that starts with `torchmelinv`, as the installed command would."""
    for line in block.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["torchmelinv"]:
            assert cli.main(words[1:]) == 0, line


def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "readme"}
    n_run = {"python": 0, "console": 0}
    for match in BLOCK.finditer(README):
        language, block = match.groups()
        if language == "python":
            # Empty lines first, so that a traceback shows the README's line numbers.
            n_lines_before = README[: match.start(2)].count("\n")
            source = "\n" * n_lines_before + block
            exec(compile(source, str(ROOT / "README.md"), "exec"), namespace)
        elif language == "console":
            run_console(block)
        if language in n_run:
            n_run[language] += 1
    assert min(n_run.values()) > 0, n_run


def test_first_example_has_at_most_ten_lines() -> None:
    first = next(block for language, block in BLOCK.findall(README) if language == "python")
    assert len(first.splitlines()) <= 10


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files_that_exist(page: str) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_results_are_between_markers() -> None:
    tables = re.findall(r"<!-- results:\w+ -->.*?<!-- /results -->", README, re.DOTALL)
    assert all(len(table.splitlines()) > 3 or NO_RESULTS in table for table in tables)
    assert len(tables) == README.count("<!-- /results -->") > 0
