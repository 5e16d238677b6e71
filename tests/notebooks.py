"""Notebooks executed from a fresh kernel. `python -m tests.notebooks [NAME.ipynb ...]` renews what they show, in place."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tests.shared import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS = 120  # for all cells of one
# What Jupyter would add of its own (versions, times, widths) differs from machine to machine
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(path: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a run from top to bottom; `CellExecutionError` with the cell that fails."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    options = {"kernel_name": "python3", "timeout": SECONDS, "record_timing": False, "coalesce_streams": True}
    # One thread, where nobody says otherwise: the tensors are tiny, and on busy cores a second one is mostly waited for.
    NotebookClient(notebook, resources=resources, **options).execute(env={"OMP_NUM_THREADS": "1", **os.environ})
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
    return notebook


def main() -> None:
    for path in [Path(name) for name in sys.argv[1:]] or NOTEBOOKS:
        nbformat.write(execute(path), path)
        print(f"{path}: {path.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
