"""Every notebook runs from top to bottom, its assertions hold, and what is kept of it is small and clean."""

from __future__ import annotations

import time
from pathlib import Path

import nbformat
import pytest

from tests.notebooks import METADATA, NOTEBOOKS, SECONDS, execute

LARGEST = 400_000  # bytes

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@each
def test_every_cell_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):  # nobody's own settings
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    start = time.monotonic()
    notebook = execute(path)
    assert time.monotonic() - start < SECONDS
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []  # warnings


@each
def test_is_small_and_clean(path: Path):
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < LARGEST
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata == METADATA
    assert all(cell.metadata == {} for cell in notebook.cells)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))  # `make notebooks` ran it as it stands


def test_there_are_notebooks():
    assert NOTEBOOKS
