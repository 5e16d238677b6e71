"""The Python blocks and `torchmelinv` commands of README and guide run, page by page in order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.shared import ROOT
from torchmelinv.cli import main as cli

README = ROOT / "README.md"
DOCS = ROOT / "docs"
# Of the site, all pages of the repository that Sphinx does not write.
PAGES = [README, *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("[!_]*/*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = ("python", "console")  # other blocks, as `py` and `sh`, do not run

each_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def run_console(block: str) -> None:
    """Run each line that starts with `torchmelinv`, as the installed command would."""
    for line in block.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["torchmelinv"]:
            assert cli.main(words[1:]) == 0, line


def run_blocks(page: Path) -> None:
    """Run the blocks of a page in the current folder."""
    text = read(page)
    namespace: dict[str, Any] = {"__name__": page.stem}
    for match in BLOCK.finditer(text):
        language, block = match.groups()
        if language == "python":
            # Empty lines first, so that a traceback shows the line numbers of the page.
            source = "\n" * text[: match.start(2)].count("\n") + block
            exec(compile(source, str(page), "exec"), namespace)
        elif language == "console":
            run_console(block)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if any(language in RUN for language, _ in BLOCK.findall(read(page)))],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_every_block_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_blocks(page)


def test_readme_shows_python_and_commands() -> None:
    blocks = BLOCK.findall(read(README))
    assert {"python", "console", "sh"} <= {language for language, _ in blocks}
    assert all(len(block.splitlines()) <= 10 for _, block in blocks)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files_that_exist(page: str) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", read(ROOT / page))
    assert [target for target in targets if not (ROOT / target).exists()] == []


@each_page
def test_links_to_the_repository_lead_to_files_that_exist(page: Path) -> None:
    """PyPI and the site show a file of the repository by its address at GitHub."""
    address = r"(?:github\.com/torchmelinv/torchmelinv/(?:blob|tree)|raw\.githubusercontent\.com/torchmelinv/torchmelinv)/main/([^)\s\"]+)"
    targets = re.findall(address, read(page))
    assert [target for target in targets if not (ROOT / target.split("#")[0]).exists()] == []


def test_links_to_the_site_lead_to_its_pages() -> None:
    targets = re.findall(r"torchmelinv\.github\.io/torchmelinv/([^)\s#]*)", read(README))
    sources = {page.relative_to(DOCS).with_suffix(".html").as_posix() for page in PAGES[1:]}
    assert [target for target in targets if target and target not in sources] == []


@each_page
def test_results_are_between_markers(page: Path) -> None:
    """Tables of results stand between the markers of `benchmarks.tables`, or come from the build."""
    tables = re.findall(r"<!-- results:\w+ -->.*?<!-- /results -->", read(page), re.DOTALL)
    assert all(len(table.splitlines()) > 3 for table in tables)
    assert len(tables) == read(page).count("<!-- /results -->")
