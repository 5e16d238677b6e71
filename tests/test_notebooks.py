"""Every notebook runs, its assertions hold, and its stored form is small and clean."""

from __future__ import annotations

import time
from pathlib import Path

import nbformat
import pytest

from tests.notebooks import METADATA, NOTEBOOKS, SECONDS, execute

MAX_BYTES = 400_000
MAX_COLUMNS = 100
JUPYTER_VARIABLES = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_are_notebooks():
    assert NOTEBOOKS


@each_notebook
def test_every_cell_runs_without_warnings(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in JUPYTER_VARIABLES:  # no settings of the user
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    start = time.monotonic()
    notebook = execute(path)
    assert time.monotonic() - start < SECONDS
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


@each_notebook
def test_a_notebook_is_small_and_clean(path: Path):
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < MAX_BYTES
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata == METADATA
    assert all(cell.metadata == {} for cell in notebook.cells)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    lines = [line for cell in notebook.cells for line in cell.source.splitlines()]
    assert [line for line in lines if len(line) > MAX_COLUMNS] == []
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    # `make notebooks` executed it as it stands
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
