"""The code blocks of README and guide run, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.blocks import RUN, blocks, run_blocks
from tests.shared import ROOT

README = ROOT / "README.md"
DOCS = ROOT / "docs"
# Of the site, all pages of the repository that Sphinx does not write.
PAGES = [README, *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("[!_]*/*.md"))]
WITH_CODE = [page for page in PAGES if any(language in RUN for language, _ in blocks(page))]
REPOSITORY = re.compile(r"(?:github|githubusercontent)\.com/torchmelinv/torchmelinv/([^)\s\"]+)")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", WITH_CODE, ids=name)
def test_every_block_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_blocks(page)


def test_readme_shows_python_and_commands_in_short() -> None:
    assert {"python", "console", "sh"} <= {language for language, _ in blocks(README)}
    assert all(len(block.splitlines()) <= 10 for _, block in blocks(README))
    assert len(read(README).split()) < 1200


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files_that_exist(page: str) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", read(ROOT / page))
    assert [target for target in targets if not (ROOT / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_to_the_repository_lead_to_its_files(page: Path) -> None:
    """PyPI and the site show a file of the repository by its address at GitHub."""
    paths = [re.split(r"(?:^|/)main/", target) for target in REPOSITORY.findall(read(page))]
    files = [path[-1].partition("#")[0] for path in paths if len(path) > 1]
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_links_to_the_site_lead_to_its_pages() -> None:
    targets = re.findall(r"torchmelinv\.github\.io/torchmelinv/([^)\s#]*)", read(README))
    sources = {page.relative_to(DOCS).with_suffix(".html").as_posix() for page in PAGES[1:]}
    assert [target for target in targets if target and target not in sources] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_results_come_from_the_files(page: Path) -> None:
    """A table is between markers that `benchmarks.tables` fills, and never empty."""
    tables = re.findall(r"<!-- results:\w+ -->.*?<!-- /results -->", read(page), re.DOTALL)
    assert all(len(table.splitlines()) > 3 for table in tables)
    assert len(tables) == read(page).count("<!-- /results -->")
    if page == README:
        assert tables
