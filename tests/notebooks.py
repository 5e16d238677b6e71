"""Execute notebooks from a fresh kernel.

`python -m tests.notebooks [NAME.ipynb ...]` stores the outputs in the notebooks.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tests.shared import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECONDS = 120  # for all cells of a notebook
# Jupyter would add versions, times and widths, which differ between machines.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(path: Path) -> nbformat.NotebookNode:
    """Return the notebook with the outputs of all cells.

    Raises `CellExecutionError` at the cell that fails.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        resources={"metadata": {"path": str(path.parent)}},
        kernel_name="python3",
        timeout=SECONDS,
        record_timing=False,
        coalesce_streams=True,
    )
    # One thread by default: the tensors are tiny, and on a busy machine a second one mostly waits.
    client.execute(env={"OMP_NUM_THREADS": "1", **os.environ})
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
